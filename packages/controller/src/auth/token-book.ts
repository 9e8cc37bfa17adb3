/**
 * The tokens of operators and of pools: made, looked up, revoked. Of each only a hash is kept (I8); the file is written
 * before anybody is told that a token was made or revoked (I1).
 */
import * as z from 'zod';
import type { Clock } from '@mig/common/clock';
import { newId } from '@mig/common/domain/ids';
import { ROLES, type Grants } from '@mig/common/domain/roles';
import { errorMessage } from '@mig/common/errors';
import { StoreUnavailableError } from '../store/store.js';
import { TokenFileError, TooManyTokensError, UnknownTokenError } from './errors.js';
import { readPrivateFile, writePrivateFile } from './private-file.js';
import { hashSecret, makeSecret } from './secret.js';

interface TokenBase {
  readonly id: string;
  readonly name: string;
  readonly hash: string;
  readonly createdAt: number;
  readonly createdBy: string;
  /** Undefined = never. */
  readonly expiresAt?: number | undefined;
  readonly revokedAt?: number | undefined;
}

export interface OperatorToken extends TokenBase {
  readonly kind: 'operator';
  readonly grants: Grants;
}

/** With it a VM of the pool proves that it belongs there. */
export interface JoinToken extends TokenBase {
  readonly kind: 'join';
  readonly poolId: string;
  /** Undefined = any of the pool. */
  readonly vmId?: string | undefined;
  /** Undefined = no limit. */
  readonly maxVms?: number | undefined;
  /** VMs that joined by it; kept only where `maxVms` is set. */
  readonly vmIds: readonly string[];
  /** The one that used it, where it is good for one boot alone. */
  readonly bootId?: string | undefined;
  /** It was revoked for those that come; the sessions that began with it go on. */
  readonly keepsSessions?: boolean | undefined;
}

export type TokenRecord = OperatorToken | JoinToken;
type NewToken =
  | Pick<OperatorToken, 'kind' | 'name' | 'createdBy' | 'expiresAt' | 'grants'>
  | Pick<JoinToken, 'kind' | 'name' | 'createdBy' | 'expiresAt' | 'poolId' | 'vmId' | 'maxVms'>;

export type TokenState = 'active' | 'expired' | 'revoked';

export interface TokenBook {
  /** Oldest first. */
  list(): readonly TokenRecord[];
  /** @throws UnknownTokenError */
  get(id: string): TokenRecord;
  /** The token with this secret, whatever its state; undefined = there is none. */
  find(secret: string): TokenRecord | undefined;
  stateOf(token: TokenRecord): TokenState;
  /** Durable when it resolves. @throws StoreUnavailableError, TooManyTokensError */
  create(token: NewToken): Promise<{ readonly record: TokenRecord; readonly secret: string }>;
  /**
   * Taken by nobody from the moment of the call; durable when it resolves.
   * @param keepsSessions those that VMs began with a join token go on; default: they end too. Can be said again without
   * @throws UnknownTokenError, StoreUnavailableError
   */
  revoke(id: string, keepsSessions?: boolean): Promise<TokenRecord>;
  /** Has a session ended that began with this join token? Not when that has expired, or is not known any more. */
  endsSessions(id: string): boolean;
  /** Rises with every token that is revoked. */
  readonly revocationCount: number;
  /**
   * Counts a VM for a join token that has a limit.
   * @returns false if the limit is reached; a VM that was counted before is always taken
   */
  count(id: string, vmId: string): Promise<boolean>;
  /** @returns false if another boot has used it before; this one is the only one from now on */
  bindToBoot(id: string, bootId: string): Promise<boolean>;
}

/** Active tokens, at most (I12). */
const MAX_TOKENS = 10_000;
/** What was revoked or has expired is shown for this long. */
const KEEP_ENDED_MS = 30 * 86_400_000;

const base = {
  id: z.string(),
  name: z.string(),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: z.number(),
  createdBy: z.string(),
  expiresAt: z.number().optional(),
  revokedAt: z.number().optional(),
};
const fileSchema = z.object({
  version: z.literal(1),
  tokens: z.array(
    z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('operator'), ...base, grants: z.record(z.string(), z.enum(ROLES)) }),
      z.object({
        kind: z.literal('join'),
        ...base,
        poolId: z.string(),
        vmId: z.string().optional(),
        maxVms: z.number().optional(),
        vmIds: z.array(z.string()),
        bootId: z.string().optional(),
        keepsSessions: z.boolean().optional(),
      }),
    ]),
  ),
});

/** @throws TokenFileError, or the file system's error */
export async function openTokenBook(file: string, clock: Clock): Promise<TokenBook> {
  const byId = new Map<string, TokenRecord>();
  const byHash = new Map<string, TokenRecord>();
  let writing: Promise<void> = Promise.resolve();

  function keep(record: TokenRecord): void {
    byId.set(record.id, record);
    byHash.set(record.hash, record);
  }
  function drop(record: TokenRecord): void {
    byId.delete(record.id);
    byHash.delete(record.hash);
  }
  for (const record of await readTokens(file)) keep(record);

  const stateOf = (token: TokenRecord): TokenState => {
    if (token.revokedAt !== undefined) return 'revoked';
    return token.expiresAt !== undefined && token.expiresAt <= clock.now() ? 'expired' : 'active';
  };

  function forgetEnded(): void {
    const before = clock.now() - KEEP_ENDED_MS;
    for (const token of byId.values())
      if ((token.revokedAt ?? token.expiresAt ?? Infinity) < before) drop(token);
  }

  /** One after the other, each with all that is known when its turn comes. */
  function save(what: string): Promise<void> {
    const write = async (): Promise<void> => {
      forgetEnded();
      const content = JSON.stringify({ version: 1, tokens: [...byId.values()] }, null, 2);
      await writePrivateFile(file, `${content}\n`).catch((error: unknown) => {
        throw new StoreUnavailableError(what, error);
      });
    };
    const done = writing.then(write);
    writing = done.catch(() => undefined);
    return done;
  }

  function get(id: string): TokenRecord {
    const record = byId.get(id);
    if (record === undefined) throw new UnknownTokenError(id);
    return record;
  }

  let revocationCount = 0;

  function endsSessions(id: string): boolean {
    const record = byId.get(id);
    return record?.kind === 'join' && record.revokedAt !== undefined && record.keepsSessions !== true;
  }

  return {
    get revocationCount() {
      return revocationCount;
    },
    list: () => [...byId.values()],
    get,
    endsSessions,
    find: (secret) => byHash.get(hashSecret(secret)),
    stateOf,

    async create(token) {
      const active = [...byId.values()].filter((other) => stateOf(other) === 'active');
      if (active.length >= MAX_TOKENS) throw new TooManyTokensError(MAX_TOKENS);
      const secret = makeSecret(token.kind === 'operator' ? 'mig_op' : 'mig_join');
      const common = {
        id: newId('token', clock.now()),
        hash: hashSecret(secret),
        createdAt: clock.now(),
      };
      const record: TokenRecord =
        token.kind === 'operator' ? { ...token, ...common } : { ...token, ...common, vmIds: [] };
      keep(record);
      try {
        await save(`token ${record.name}`);
      } catch (error) {
        drop(record);
        throw error;
      }
      return { record, secret };
    },

    async revoke(id, keepsSessions = false) {
      const record = get(id);
      const revokedAt = record.revokedAt ?? clock.now();
      // What has ended once does not begin again.
      revocationCount += 1;
      const goOn = keepsSessions && (record.revokedAt === undefined || !endsSessions(id));
      keep(record.kind === 'join' ? { ...record, revokedAt, keepsSessions: goOn } : { ...record, revokedAt });
      await save(`the revocation of token ${id}`);
      return get(id);
    },

    async count(id, vmId) {
      const record = get(id);
      if (record.kind !== 'join' || record.maxVms === undefined || record.vmIds.includes(vmId)) return true;
      if (record.vmIds.length >= record.maxVms) return false;
      keep({ ...record, vmIds: [...record.vmIds, vmId] });
      await save(`the use of token ${id}`);
      return true;
    },

    async bindToBoot(id, bootId) {
      const record = get(id);
      if (record.kind !== 'join') return false;
      if (record.bootId !== undefined) return record.bootId === bootId;
      keep({ ...record, bootId });
      await save(`the use of token ${id}`);
      return true;
    },
  };
}

async function readTokens(file: string): Promise<readonly TokenRecord[]> {
  const text = await readPrivateFile(file);
  if (text === undefined) return [];
  try {
    return fileSchema.parse(JSON.parse(text)).tokens;
  } catch (error) {
    throw new TokenFileError(file, errorMessage(error).split('\n', 1)[0] ?? '');
  }
}
