import { createHash, randomBytes } from 'node:crypto';

/** 256 bits: nobody guesses it, so that a plain hash of it can be kept without being worth a search. */
const SECRET_BYTES = 32;

/** `mig_op_…` and `mig_join_…`: a leaked token is known for what it is, also by scanners of repositories. */
export const makeSecret = (prefix: 'mig_op' | 'mig_join'): string =>
  `${prefix}_${randomBytes(SECRET_BYTES).toString('base64url')}`;

/** What is kept of a secret; it is looked up by this, so that a look-up takes no longer for a near miss. */
export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('hex');
