/** What of a node fits a job, where the job or the node means no good. */
import { describe, expect, it } from '@jest/globals';
import { fromJobSpecResource, jobSpecSchema } from '@mig/common/api/job-spec';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { toRequirement, type Requirement } from './fit.js';
import { createNodes, type Node } from './nodes.js';

const constrained = (attribute: string, operator: string, value: unknown, pools?: string[]): Requirement =>
  toRequirement({
    spec: fromJobSpecResource(
      jobSpecSchema.parse({
        name: 'j',
        tasks: [{ name: 't', driver: 'exec', config: { command: 'ls' } }],
        constraints: [{ attribute, operator, value }],
      }),
    ),
    onlyNode: undefined,
    pools,
  });

const node = (metadata: Record<string, string>, poolId = ''): Node =>
  createNodes(createManualClock(), { offlineAfterMs: 60_000, forgetAfterMs: 60_000 }).heartbeat(
    {
      nodeId: 'n1',
      timestamp: 0,
      ramMb: 1,
      cpuPercent: 1,
      diskMb: 1,
      metadata,
      listsJobs: false,
      jobIds: [],
      draining: false,
    },
    poolId,
  );

describe('a constraint', () => {
  it('that asks for what every object has, asks for what no node says', () => {
    for (const attribute of ['constructor', 'toString', '__proto__', 'hasOwnProperty'])
      for (const operator of ['==', '>=', 'regexp'])
        expect(constrained(attribute, operator, operator === '>=' ? 0 : '.').mismatch(node({}))).toContain(
          'do not have',
        );
  });

  it('whose pattern would take for ever is given up in no time, for all nodes', () => {
    const { mismatch } = constrained('kernel', 'regexp', '^(a+)+$');
    for (let at = 0; at < 1_000; at += 1)
      expect(mismatch(node({ kernel: `${'a'.repeat(50)}${at}!` }))).toBeDefined();
  });

  it('with a pattern matches as it says', () => {
    const { mismatch } = constrained('kernel', 'regexp', '^6\\.');
    expect(mismatch(node({ kernel: '6.1' }))).toBeUndefined();
    expect(mismatch(node({ kernel: '5.6.1' }))).toBeDefined();
  });

  it('on the pool goes by the credential of the node, whatever the node says of itself', () => {
    const { mismatch } = constrained('pool', '==', 'gpu');
    expect(mismatch(node({ pool: 'gpu' }, 'linux'))).toBeDefined();
    expect(mismatch(node({ pool: 'linux' }, 'gpu'))).toBeUndefined();
  });
});

describe('a job whose submitter is an operator of some pools', () => {
  it('fits no node of another', () => {
    const { mismatch } = constrained('node_id', '==', 'n1', ['linux']);
    expect(mismatch(node({}, 'linux'))).toBeUndefined();
    expect(mismatch(node({ pool: 'linux' }, 'gpu'))).toBeDefined();
    expect(mismatch(node({ pool: 'linux' }))).toBeDefined();
  });
});
