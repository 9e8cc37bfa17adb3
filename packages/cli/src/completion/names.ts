/** Names from the controller, for completion: at once or not at all, and never an error. */
import { isValidId } from '@mig/common/domain/ids';
import { resolveConnection } from '../access/connection.js';
import type { Io } from '../io.js';

/** Whoever pressed Tab does not wait longer than this, milliseconds. */
const MAX_WAIT_MS = 700;
const MAX_NAMES = 1_000;

/** @param server value of `--server`, if it was typed */
export async function fetchVmNames(
  io: Io,
  server: string | undefined,
): Promise<{ readonly vms: string[]; readonly pools: string[] }> {
  const answer = await ask(io, server, 'vms?');
  return { vms: idsIn(answer, 'vms', 'vm_id'), pools: [...new Set(idsIn(answer, 'vms', 'pool_id'))] };
}

/** Ids of commands that can still be cancelled. */
export async function fetchOpenCommandIds(io: Io, server: string | undefined): Promise<string[]> {
  const answers = await Promise.all(
    ['queued', 'sent'].map((state) => ask(io, server, `commands?state=${state}&`)),
  );
  return answers.flatMap((answer) => idsIn(answer, 'commands', 'id'));
}

/** Ids of drains; those that go on are what is mostly meant. */
export const fetchDrainIds = async (
  io: Io,
  server: string | undefined,
  state: 'active' | undefined,
): Promise<string[]> =>
  idsIn(await ask(io, server, `drains?${state === undefined ? '' : `state=${state}&`}`), 'drains', 'id');

/** Ids of jobs that have not ended. */
export const fetchWorkflowJobIds = async (io: Io, server: string | undefined): Promise<string[]> =>
  idsIn(await ask(io, server, 'workflow-jobs?status=open&'), 'workflow_jobs', 'id');

async function ask(io: Io, server: string | undefined, path: string): Promise<unknown> {
  try {
    const connection = resolveConnection({ server }, io.env);
    const { token } = connection;
    const url = `${connection.server}/api/v1/${path}limit=${MAX_NAMES}`;
    const response = await io.fetch(url, {
      signal: AbortSignal.timeout(MAX_WAIT_MS),
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
    });
    return await response.json();
  } catch {
    // A shell that completes has no place for an error.
    return undefined;
  }
}

/** Not by schema: loading them takes longer than the answer. What is no valid id never reaches the shell. */
function idsIn(answer: unknown, list: string, key: string): string[] {
  const items = propertyOf(answer, list);
  if (!Array.isArray(items)) return [];
  return items
    .map((item: unknown) => propertyOf(item, key))
    .filter((id): id is string => typeof id === 'string' && isValidId(id));
}

const propertyOf = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
