/** `audit show` and `audit verify`: who did what; and was that log changed? */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import {
  findMissing,
  headOfLine,
  parseKey,
  parseNote,
  verifyChain,
  type AuditEntry,
  type AuditHead,
  type AuditKey,
  type AuditNote,
  type ChainVerdict,
} from '@mig/common/domain/audit';
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
  /** Where the key and the note of the newest entry are; default: `.auth` beside the folder. */
  readonly authDirectory?: string | undefined;
  /** A head that was noted before, `SEQ:HASH`: it must still be in the chain. */
  readonly since?: string | undefined;
}

/** What is verified: lines, and what is known of them from elsewhere. */
interface Copy {
  readonly lines: readonly string[];
  /** What there should be; undefined = nobody knows. */
  readonly note?: AuditNote | undefined;
  readonly key?: AuditKey | undefined;
  readonly faults: readonly string[];
}

/**
 * Checks the whole chain here, and that it has the beginning and the end that it should have. The signatures are checked
 * by the controller, or here where the key can be read.
 */
export async function verifyAudit(session: Session, options: VerifyOptions): Promise<ExitCode> {
  const { io } = session;
  const noted = options.since === undefined ? undefined : parseHead(options.since);
  const { directory } = options;
  const copy: Copy =
    directory === undefined ? await session.client.auditLog() : readCopy(directory, options.authDirectory);
  const verdict = verifyChain(copy.lines, undefined, copy.key);
  if (verdict.kind === 'broken')
    throw broken(
      `line ${verdict.line}: ${verdict.reason}`,
      `up to entry ${verdict.head.seq} it is intact; compare it with a copy`,
    );
  const [fault] = copy.faults;
  if (fault !== undefined) throw broken(fault);
  const missing = copy.note === undefined ? undefined : findMissing(copy.lines, verdict, copy.note);
  if (missing !== undefined) throw broken(missing);
  if (noted !== undefined) assertHolds(copy.lines, noted, verdict);
  const { count, first, head } = verdict;
  const range =
    count === 0 ? '' : `, ${first} to ${head.seq}${first > 1 ? ' (older files were removed)' : ''}`;
  io.stdout.write(`The audit log is intact: ${count} entries${range}.\n`);
  io.stdout.write(`head ${head.seq}:${head.hash}\n`);
  if (directory !== undefined && (copy.key === undefined || copy.note === undefined))
    io.stderr.write(
      'Without the key and the note of its newest entry (--auth-dir), files that were written anew as a whole, or cut, are not found.\n',
    );
  io.stderr.write(
    'Note the head elsewhere: `migctl audit verify --since HEAD` later shows what was changed even by who can write all of the data folder.\n',
  );
  return EXIT.done;
}

const broken = (reason: string, hint = 'compare it with a copy'): CliError =>
  new CliError('audit-broken', `the audit log was changed: ${reason}`, EXIT.failed, hint);

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
  if (noted.seq === 0) return;
  if (verdict.count > 0 && noted.seq < verdict.first) {
    if (noted.seq === verdict.first - 1 && headOfLine(lines[0] ?? '')?.prev === noted.hash) return;
    throw broken(
      `entry ${noted.seq}, which was noted, is not there any more: the log begins with ${verdict.first}`,
      'if the controller removed it because of its age, note a newer head; else compare it with a copy',
    );
  }
  if (headOfLine(lines[noted.seq - verdict.first] ?? '')?.hash === noted.hash) return;
  throw broken(
    `entry ${noted.seq} is not the one that was noted`,
    'entries were taken from its end, or all of it was written anew; compare it with a copy',
  );
}

const FILE = /^audit-(\d{16})\.jsonl$/;

/** A folder, or one of its files. What is noted beside a folder is read first: the log may grow meanwhile. */
function readCopy(target: string, authDirectory: string | undefined): Copy {
  try {
    const isFile = statSync(target).isFile();
    const beside = authDirectory ?? (isFile ? undefined : path.join(target, '..', '.auth'));
    const read = (name: string): string => {
      try {
        return beside === undefined ? '' : readFileSync(path.join(beside, name), 'utf8');
      } catch (error) {
        if (authDirectory === undefined) return '';
        throw error;
      }
    };
    const [key, note] = [parseKey(read('audit-key')), parseNote(read('audit-head'))];
    const files = isFile
      ? [target]
      : readdirSync(target)
          .filter((name) => FILE.test(name))
          .sort()
          .map((name) => path.join(target, name));
    const faults: string[] = [];
    const lines = files.flatMap((file) => {
      const own = readFileSync(file, 'utf8').split('\n').slice(0, -1);
      const named = FILE.exec(path.basename(file))?.[1];
      if (named !== undefined && headOfLine(own[0] ?? '')?.seq !== Number(named))
        faults.push(`${path.basename(file)} does not begin with entry ${Number(named)}`);
      return own;
    });
    return { lines, key, note, faults };
  } catch (error) {
    throw new UsageError(`--dir: ${target} cannot be read (${errorMessage(error)})`);
  }
}
