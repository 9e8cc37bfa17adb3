/** `login`, `whoami`, `context`: which controllers this person is logged in at, and as whom. */
import path from 'node:path';
import { EVERY_POOL } from '@mig/common/domain/roles';
import { EXIT, UsageError, type ExitCode } from '../errors.js';
import { toJson } from '../output/format.js';
import { renderTable } from '../output/table.js';
import { safe } from '../output/text.js';
import { formatTime } from '../output/time.js';
import type { Session } from '../session.js';
import { readContexts, writeContexts } from './contexts.js';

/**
 * Keeps the token that was given for this controller, if the controller takes it.
 *
 * @param keepCurrent the current context stays that, if there is one
 */
export async function login(session: Session, name: string, keepCurrent: boolean): Promise<ExitCode> {
  const { io, server, connection } = session;
  const token = connection.token;
  if (token === undefined && connection.tls.cert_file === undefined)
    throw new UsageError(
      'there is no token to log in with',
      'give a file with --token-file, or - for standard input; an admin makes one with `migctl token create`',
    );
  const me = await session.client.whoami();
  if (me.via === 'none')
    io.stderr.write(`${server} asks for no credential; the token is kept all the same.\n`);
  const { current, contexts } = readContexts(io.env);
  const kept = Object.fromEntries(
    Object.entries(connection.tls).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, path.resolve(String(value))]],
    ),
  );
  const file = writeContexts(io.env, {
    current: keepCurrent && current !== undefined && Object.hasOwn(contexts, current) ? current : name,
    contexts: {
      ...contexts,
      [name]: {
        server,
        ...(token === undefined ? {} : { token }),
        ...kept,
        ...(connection.insecure ? { insecure: true } : {}),
      },
    },
  });
  io.stdout.write(`Logged in at ${server} as ${safe(me.name)}: context ${name}, in ${file}\n`);
  return EXIT.done;
}

export async function whoami(
  { client, io, server, connection }: Session,
  output: 'table' | 'json',
): Promise<ExitCode> {
  const me = await client.whoami();
  if (output === 'json') {
    io.stdout.write(`${toJson({ ...me, server, context: connection.context?.name ?? null }, 2)}\n`);
    return EXIT.done;
  }
  const roles = Object.entries(me.roles).map(
    ([pool, role]) => `${role} ${pool === EVERY_POOL ? 'of every pool' : `of pool ${pool}`}`,
  );
  const lines = [
    ['name', me.name],
    ['by', me.via === 'none' ? 'nothing: this controller asks for no credential' : me.via],
    ['roles', roles.join(', ')],
    ['expires', me.expires_at === undefined ? 'never' : formatTime(me.expires_at)],
    ['controller', server],
    ['context', connection.context?.name ?? '-'],
  ] as const;
  io.stdout.write(lines.map(([title, text]) => `${title.padEnd(12)}${safe(text)}\n`).join(''));
  return EXIT.done;
}

export function listContexts({ io }: Session): ExitCode {
  const { current, contexts } = readContexts(io.env);
  const rows = Object.entries(contexts).map(([name, context]) => ({ name, ...context }));
  if (rows.length === 0) {
    io.stderr.write('There is no context yet: `migctl login` makes one.\n');
    return EXIT.done;
  }
  io.stdout.write(
    renderTable(
      [
        { title: 'CURRENT', text: ({ name }) => (name === current ? '*' : ' ') },
        { title: 'NAME', text: ({ name }) => name },
        { title: 'CONTROLLER', text: ({ server }) => server },
      ],
      rows,
    ),
  );
  return EXIT.done;
}

/** @throws UsageError if there is no such context */
export function useContext({ io }: Session, name: string): ExitCode {
  const { contexts } = readContexts(io.env);
  assertThere(contexts, name);
  writeContexts(io.env, { current: name, contexts });
  io.stdout.write(`${name} is the current context\n`);
  return EXIT.done;
}

/** Removes the token from this machine; at the controller it lives on until it is revoked. @throws UsageError */
export function removeContext({ io }: Session, name: string): ExitCode {
  const { current, contexts } = readContexts(io.env);
  assertThere(contexts, name);
  const rest = Object.fromEntries(Object.entries(contexts).filter(([other]) => other !== name));
  writeContexts(io.env, { ...(current === name ? {} : { current }), contexts: rest });
  io.stdout.write(`context ${name} removed\n`);
  return EXIT.done;
}

function assertThere(contexts: Readonly<Record<string, unknown>>, name: string): void {
  if (!Object.hasOwn(contexts, name))
    throw new UsageError(`there is no context ${JSON.stringify(name)}`, 'see `migctl context list`');
}
