/** What every proof asks of the stand-in GitHub in the end. */
import { describeViolation } from '../github/violations.js';
import { verdict, type Verdict } from '../reliability/part.js';
import type { ProofControl } from './control.js';

export const githubVerdicts = ({ github }: Pick<ProofControl, 'github'>): Verdict[] => [
  verdict("no request that GitHub's description rejects", github.violations().map(describeViolation)),
  verdict(
    'no answer of the stand-in that GitHub would not give',
    github.defects().map((defect) => String(defect)),
  ),
];
