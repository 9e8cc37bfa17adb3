/** `audit show` and `audit verify`: who did what; and was that log changed? */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { verifyChain, type AuditEntry, type AuditHead, type ChainVerdict } from '@mig/common/domain/audit';
import { errorMessage } from '@mig/common/errors';
import { CliError, EXIT, UsageError, type ExitCode } from '../errors.js';
import { toJson } from '../output/format.js';
import { keyValues, safe } from '../output/text.js';
import { formatTime } from '../output/time.js';
import type { Session } from '../session.js';

export async function showAudit(
  { client, io }: Session,
  { tail, output }: { readonly tail: number; readonly output: 'table' | 'json' },
): Promise<ExitCode> {
  const lines = (await client.auditTail(tail)).slice(-tail);
  for (const line of lines) {
    const entry = JSON.parse(line) as AuditEntry;
    if (output === 'json') {
      io.stdout.write(`${toJson(entry)}\n`);
      continue;
    }
    const { at, actor, action, target, from, outcome, detail } = entry;
    const words = [formatTime(at), outcome, action, actor, target || '-', from === '' ? '' : `from ${from}`];
    io.stdout.write(
      `${words
        .filter((word) => word !== '')
        .map(safe)
        .join('  ')}  ${keyValues(detail)}\n`,
    );
  }
  return EXIT.done;
}

export interface VerifyOptions {
  /** The controller's `.audit` folder, or a copy; default: what the controller says. */
  readonly directory?: string | undefined;
  /** A head that was noted before, `SEQ:HASH`: it must still be in the chain. */
  readonly since?: string | undefined;
}

/** Checks the whole chain here, with nothing but the lines: who changed them cannot make this say otherwise. */
export async function verifyAudit(session: Session, options: VerifyOptions): Promise<ExitCode> {
  const { io } = session;
  const noted = options.since === undefined ? undefined : parseHead(options.since);
  const lines =
    options.directory === undefined ? await session.client.auditLines() : readLines(options.directory);
  const verdict = verifyChain(lines);
  if (verdict.kind === 'intact' && noted !== undefined) assertHolds(lines, noted, verdict);
  if (verdict.kind === 'broken') {
    throw new CliError(
      'audit-broken',
      `the audit log was changed: line ${verdict.line}: ${verdict.reason}`,
      EXIT.failed,
      `up to entry ${verdict.head.seq} it is intact; compare it with a copy`,
    );
  }
  const { count, first, head } = verdict;
  const range =
    count === 0 ? '' : `, ${first} to ${head.seq}${first > 1 ? ' (older files were removed)' : ''}`;
  io.stdout.write(`The audit log is intact: ${count} entries${range}.\n`);
  io.stdout.write(`head ${head.seq}:${head.hash}\n`);
  io.stderr.write(
    'Note the head elsewhere: `migctl audit verify --since HEAD` later shows if the end was cut off.\n',
  );
  return EXIT.done;
}

function parseHead(text: string): AuditHead {
  const parts = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  if (parts === null)
    throw new UsageError(
      `--since: ${JSON.stringify(text)} is no head`,
      'write it as `audit verify` printed it',
    );
  return { seq: Number(parts[1]), hash: parts[2] ?? '' };
}

function assertHolds(
  lines: readonly string[],
  noted: AuditHead,
  verdict: ChainVerdict & { kind: 'intact' },
): void {
  const line = lines[noted.seq - verdict.first];
  if (verdict.count > 0 && noted.seq < verdict.first) return;
  if (line?.endsWith(`"hash":"${noted.hash}"}`) === true) return;
  throw new CliError(
    'audit-broken',
    `the audit log was changed: entry ${noted.seq} is not the one that was noted`,
    EXIT.failed,
    'entries were taken from its end, or all of it was written anew; compare it with a copy',
  );
}

function readLines(directory: string): string[] {
  try {
    const files = statSync(directory).isFile()
      ? [directory]
      : readdirSync(directory)
          .filter((name) => /^audit-\d{16}\.jsonl$/.test(name))
          .sort()
          .map((name) => path.join(directory, name));
    return files.flatMap((file) => readFileSync(file, 'utf8').split('\n').slice(0, -1));
  } catch (error) {
    throw new UsageError(`--dir: ${directory} cannot be read (${errorMessage(error)})`);
  }
}
