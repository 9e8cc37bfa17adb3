/** `token create|list|revoke`: who gets in, and which VMs. */
import type { CreateTokenBody, TokenResource } from '@mig/common/api/auth-resource';
import { EVERY_POOL, type Role } from '@mig/common/domain/roles';
import { mapConcurrently } from '../concurrency.js';
import { EXIT, UsageError, type ExitCode } from '../errors.js';
import { printListing, toJson, type FormatOptions, type Listing } from '../output/format.js';
import { safe } from '../output/text.js';
import { ageOf } from '../output/time.js';
import type { Session } from '../session.js';

export interface TokenFlags {
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
  readonly pool?: readonly string[] | undefined;
  /** The pool of a join token. */
  readonly join?: string | undefined;
  readonly vm?: string | undefined;
  readonly maxVms?: number | undefined;
  /** Milliseconds. */
  readonly expires: number;
  readonly output: 'table' | 'json';
}

/** Prints the token alone on standard output, so that it can go into a file; what it is, on the other. */
export async function createToken({ client, io }: Session, flags: TokenFlags): Promise<ExitCode> {
  const made = await client.createToken(bodyOf(flags));
  if (flags.output === 'json') {
    io.stdout.write(`${toJson(made, 2)}\n`);
    return EXIT.done;
  }
  io.stdout.write(`${made.token}\n`);
  io.stderr.write(`${safe(made.id)}: ${describe(made)}. It cannot be shown again.\n`);
  return EXIT.done;
}

/** @throws UsageError if the flags contradict each other */
function bodyOf({ name, role, pool, join, vm, maxVms, expires }: TokenFlags): CreateTokenBody {
  if (join !== undefined) {
    if (role !== undefined || pool !== undefined)
      throw new UsageError(
        '--join is for VMs, --role and --pool are for operators',
        'make two tokens, one of each',
      );
    return {
      kind: 'join',
      name: name ?? `join ${join}`.slice(0, 63),
      pool_id: join,
      expires_in_ms: expires,
      ...(vm === undefined ? {} : { vm_id: vm }),
      ...(maxVms === undefined ? {} : { max_vms: maxVms }),
    };
  }
  if (vm !== undefined || maxVms !== undefined)
    throw new UsageError('--vm and --max-vms are for tokens of VMs', 'name their pool with --join');
  if (role === undefined)
    throw new UsageError(
      'what is the token for?',
      'give --role viewer, operator or admin; or --join POOL for VMs',
    );
  const pools = pool ?? [EVERY_POOL];
  return {
    kind: 'operator',
    name: name ?? role,
    roles: Object.fromEntries(pools.map((poolId) => [poolId, role])),
    expires_in_ms: expires,
  };
}

const describe = (token: TokenResource): string =>
  token.kind === 'join'
    ? `VMs of pool ${token.pool_id ?? ''} join with it`
    : `${Object.entries(token.roles ?? {})
        .map(([pool, role]) => `${role} of ${pool === EVERY_POOL ? 'every pool' : `pool ${pool}`}`)
        .join(', ')}`;

export async function listTokens({ client, io }: Session, options: FormatOptions): Promise<ExitCode> {
  const tokens = await client.listTokens();
  const nowMs = io.clock.now();
  const listing: Listing<TokenResource> = {
    rows: tokens,
    value: { tokens },
    nameOf: ({ id }) => id,
    columns: [
      { title: 'ID', text: ({ id }) => id },
      { title: 'NAME', text: ({ name }) => name },
      { title: 'FOR', text: describe },
      { title: 'STATE', text: ({ state }) => state },
      { title: 'AGE', text: ({ created_at }) => ageOf(created_at, nowMs) },
      { title: 'EXPIRES', text: ({ expires_at }) => expires_at?.slice(0, 10) ?? 'never' },
    ],
    wideColumns: [{ title: 'CREATED BY', text: ({ created_by }) => created_by }],
  };
  await printListing(io.stdout, listing, options);
  return EXIT.done;
}

/** @param options.keepSessions VMs that joined by one of them go on; default: they have to join again */
export async function revokeTokens(
  { client, io }: Session,
  ids: readonly string[],
  { keepSessions = false }: { readonly keepSessions?: boolean } = {},
): Promise<ExitCode> {
  const revoked = await mapConcurrently(ids, (id) => client.revokeToken(id, keepSessions));
  for (const { id, name } of revoked) io.stdout.write(`${safe(id)} (${safe(name)}) revoked\n`);
  return EXIT.done;
}

export async function releaseVms({ client, io }: Session, vmIds: readonly string[]): Promise<ExitCode> {
  await mapConcurrently(vmIds, (vmId) => client.releaseVm(vmId));
  for (const vmId of vmIds) io.stdout.write(`${vmId} released: its next boot may join\n`);
  return EXIT.done;
}
