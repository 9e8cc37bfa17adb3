/**
 * The audit log: JSON lines, each chained to the one before (common/domain/audit), in files that are only appended to.
 *
 *   {directory}/audit-{first seq, 16 digits}.jsonl
 *
 * What is recorded is written at once and synced soon; facts that come together share one write. A file that has grown
 * large is closed and the next begun; the oldest go when there are too many. A torn end, which a crash can leave, is
 * put aside. A log that cannot be written is told by `problem`, and what could not be kept is counted in the next entry.
 */
import { mkdir, open, readdir, readFile, rm, truncate, writeFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { toRfc3339, type Clock } from '@mig/common/clock';
import { NO_HEAD, sealEntry, verifyChain, type AuditFact, type AuditHead } from '@mig/common/domain/audit';
import { errorMessage, printable } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { syncDirectory } from './private-file.js';

/** What parts that have something to tell need of it. */
export interface Audit {
  /** Never waits, never throws. */
  record(fact: AuditFact): void;
}

export interface AuditLog extends Audit {
  readonly head: AuditHead;
  /** Up to `limit` lines from entry `fromSeq` on, oldest first; fewer at the end of a file. */
  read(fromSeq: number, limit: number): Promise<readonly string[]>;
  /** The oldest entry that is still there; 0 = there is none. */
  firstSeq(): Promise<number>;
  /** Why nothing can be written now; undefined = it can. */
  problem(): string | undefined;
  /** Resolves when all that was recorded is on disk. */
  flushed(): Promise<void>;
  close(): Promise<void>;
}

export interface AuditLogOptions {
  readonly directory: string;
  /** A file that has this many bytes is the last's; default 16 MiB. */
  readonly maxFileBytes?: number;
  /** The oldest beyond it are removed; default 64. */
  readonly maxFiles?: number;
}

/** Facts that wait to be written (I12). Beyond it they are counted, and the count is an entry. */
const MAX_WAITING = 10_000;
/** Characters of one value of an entry. */
const MAX_VALUE = 500;
const FILE = /^audit-(\d{16})\.jsonl$/;

export async function openAuditLog(
  options: AuditLogOptions,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<AuditLog> {
  const { directory, maxFileBytes = 16 * 2 ** 20, maxFiles = 64 } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const files = await listFiles(directory);
  const last = files.at(-1);
  const recovered = last === undefined ? undefined : await recover(last);
  /** Of all that is written or waits. */
  let head = recovered?.head ?? NO_HEAD;
  /** Of what is on disk. */
  let written = head;
  let current: { file: AuditFile; handle: FileHandle; bytes: number } | undefined;
  let waiting: AuditFact[] = [];
  let lostCount = 0;
  let failure: string | undefined;
  let writing: Promise<void> | undefined;

  if (last !== undefined && recovered !== undefined) {
    current = {
      file: last,
      handle: await open(last.path, 'a', 0o600),
      bytes: recovered.bytes,
    };
  }

  async function rotate(): Promise<void> {
    if (current !== undefined && current.bytes < maxFileBytes) return;
    const firstSeq = written.seq + 1;
    const file = { firstSeq, path: path.join(directory, fileName(firstSeq)) };
    const handle = await open(file.path, 'a', 0o600);
    await syncDirectory(directory);
    await current?.handle.close();
    current = { file, handle, bytes: 0 };
    if (files.at(-1)?.path !== file.path) files.push(file);
    while (files.length > maxFiles) {
      const oldest = files.shift();
      if (oldest !== undefined) await rm(oldest.path, { force: true });
    }
  }

  async function writeAll(): Promise<void> {
    while (waiting.length > 0 || lostCount > 0) {
      const facts = waiting;
      const lost = lostCount;
      waiting = [];
      lostCount = 0;
      head = written;
      const lines = (lost === 0 ? facts : [...facts, lostFact(lost)]).map((fact) => {
        const sealed = sealEntry(fact, toRfc3339(clock.now()), head);
        head = sealed.head;
        return `${sealed.line}\n`;
      });
      try {
        await rotate();
        if (current === undefined) throw new Error('no file is open');
        const bytes = Buffer.from(lines.join(''));
        try {
          await current.handle.appendFile(bytes);
          await current.handle.datasync();
        } catch (error) {
          // Part of it may be there: what follows must begin on a line of its own, after the last good one.
          await truncate(current.file.path, current.bytes).catch(() => undefined);
          throw error;
        }
        current.bytes += bytes.length;
        written = head;
        failure = undefined;
      } catch (error) {
        head = written;
        lostCount += facts.length + lost;
        failure = errorMessage(error);
        logger.error(
          { event: 'audit_failed', lost: lostCount, reason: failure, directory },
          'the audit log cannot be written: make room, or give this user the right to write there',
        );
        return;
      }
    }
  }

  function kick(): void {
    writing ??= writeAll().finally(() => {
      writing = undefined;
      if (waiting.length > 0) kick();
    });
  }

  return {
    get head() {
      return written;
    },
    record(fact) {
      if (waiting.length >= MAX_WAITING) lostCount += 1;
      else waiting.push(clean(fact));
      kick();
    },
    async read(fromSeq, limit) {
      const at = files.findLastIndex((file) => file.firstSeq <= Math.max(1, fromSeq));
      const file = files[Math.max(0, at)];
      if (file === undefined) return [];
      const text = await readFile(file.path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return '';
        throw error;
      });
      const skip = Math.max(0, fromSeq - file.firstSeq);
      return text
        .split('\n')
        .slice(0, -1)
        .slice(skip, skip + limit);
    },
    firstSeq: () => Promise.resolve(written.seq === 0 ? 0 : (files[0]?.firstSeq ?? 0)),
    problem: () => (failure === undefined ? undefined : `the audit log cannot be written: ${failure}`),
    async flushed() {
      while (writing !== undefined) await writing;
    },
    async close() {
      while (writing !== undefined) await writing;
      await current?.handle.close();
      current = undefined;
    },
  };

  /** The end of the newest file; a torn last line is moved beside it. @throws the file system's error */
  async function recover(file: AuditFile): Promise<{ head: AuditHead; bytes: number }> {
    const content = await readFile(file.path);
    const end = content.lastIndexOf(0x0a) + 1;
    if (end < content.length) {
      await writeFile(`${file.path}.torn`, content.subarray(end), { mode: 0o600 });
      await truncate(file.path, end);
      logger.warn(
        { event: 'audit_torn', file: file.path, bytes: content.length - end },
        'the last line of the audit log was torn by a crash; it is kept beside it, as .torn',
      );
    }
    const lines = content.subarray(0, end).toString('utf8').split('\n').slice(0, -1);
    const verdict = verifyChain(lines);
    if (verdict.kind === 'broken') {
      logger.error(
        { event: 'audit_broken', file: file.path, line: verdict.line, reason: verdict.reason },
        'the audit log was changed; "migctl audit verify" says where. It is continued after its last line',
      );
    }
    return { head: lastHead(lines) ?? { seq: file.firstSeq - 1, hash: NO_HEAD.hash }, bytes: end };
  }
}

interface AuditFile {
  readonly firstSeq: number;
  readonly path: string;
}

const fileName = (firstSeq: number): string => `audit-${String(firstSeq).padStart(16, '0')}.jsonl`;

async function listFiles(directory: string): Promise<AuditFile[]> {
  return (await readdir(directory))
    .flatMap((name) => {
      const digits = FILE.exec(name)?.[1];
      return digits === undefined ? [] : [{ firstSeq: Number(digits), path: path.join(directory, name) }];
    })
    .sort((a, b) => a.firstSeq - b.firstSeq);
}

/** What the last line says of itself, also if the chain before it is broken: numbers are never given twice. */
function lastHead(lines: readonly string[]): AuditHead | undefined {
  const parts = /^\{"seq":(\d+),.*"hash":"([0-9a-f]{64})"\}$/s.exec(lines.at(-1) ?? '');
  return parts === null ? undefined : { seq: Number(parts[1]), hash: parts[2] ?? '' };
}

const lostFact = (count: number): AuditFact => ({
  actor: 'controller',
  action: 'audit.lost',
  target: '',
  from: '',
  outcome: 'failed',
  detail: { count: String(count) },
});

/** What came from outside is cut, and its control characters are made visible. */
function clean(fact: AuditFact): AuditFact {
  const tidy = (text: string): string => printable(text, MAX_VALUE);
  return {
    ...fact,
    actor: tidy(fact.actor),
    target: tidy(fact.target),
    from: tidy(fact.from),
    detail: Object.fromEntries(Object.entries(fact.detail).map(([key, value]) => [tidy(key), tidy(value)])),
  };
}
