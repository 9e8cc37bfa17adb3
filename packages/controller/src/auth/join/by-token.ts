/** By a join token of the pool: one that was made with `migctl token create`, or the content of the pool's token file. */
import { hashSecret } from '../secret.js';
import type { TokenBook } from '../token-book.js';
import { refused, type JoinMethod, type JoinRequest, type JoinVerdict } from './join-method.js';

export interface TokenJoinDeps {
  readonly book: TokenBook;
  /** The content of a file, read when used; undefined = there is none. */
  readonly readFile: (file: string) => Promise<string | undefined>;
}

/** A token file with less than this is an oversight, not a secret. */
const MIN_FILE_TOKEN = 16;

export function createTokenJoin(deps: TokenJoinDeps): JoinMethod {
  return {
    async verify(request) {
      const { token } = request.proof;
      if (token === undefined) return refused('no join token');
      return (await byFile(deps, request, token)) ?? byBook(deps.book, request, token);
    },
  };
}

async function byFile(
  { readFile }: TokenJoinDeps,
  { pool }: JoinRequest,
  token: string,
): Promise<JoinVerdict | undefined> {
  if (pool.token_file === '') return undefined;
  const expected = (await readFile(pool.token_file))?.trim() ?? '';
  // Hashes are compared, so that how long it takes says nothing of the secret.
  if (expected.length < MIN_FILE_TOKEN || hashSecret(expected) !== hashSecret(token)) return undefined;
  return { kind: 'ok', by: `token file ${pool.token_file}` };
}

/** @param oneTime it must be for one VM at most, and is good for the boot that used it first alone */
export async function byBook(
  book: TokenBook,
  { vmId, poolId, bootId }: JoinRequest,
  token: string,
  oneTime = false,
): Promise<JoinVerdict> {
  const record = book.find(token);
  if (record === undefined) return refused('unknown join token');
  const { id } = record;
  if (record.kind !== 'join') return refused(`${id} is an operator's token`);
  const state = book.stateOf(record);
  if (state !== 'active') return refused(`join token ${id} is ${state}`);
  if (record.poolId !== poolId) return refused(`join token ${id} is of pool ${record.poolId}`);
  if (record.vmId !== undefined && record.vmId !== vmId)
    return refused(`join token ${id} is of VM ${record.vmId}`);
  if (oneTime && record.maxVms !== 1) return refused(`join token ${id} is not for one VM (max_vms 1)`);
  if (!(await book.count(id, vmId))) return refused(`join token ${id} has been used for all its VMs`);
  if (oneTime && !(await book.bindToBoot(id, bootId)))
    return refused(`join token ${id} was used by another boot`);
  return { kind: 'ok', by: `token ${id}`, tokenId: id };
}
