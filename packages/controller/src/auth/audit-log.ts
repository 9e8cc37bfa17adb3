/**
 * The audit log: JSON lines, each chained to the one before and signed (common/domain/audit), in files that are only appended to.
 *
 *   {directory}/audit-{first seq, 16 digits}.jsonl
 *
 * What is recorded is written and synced: at once if somebody waits for it, and otherwise with what else comes in a moment. A file that has grown large is
 * closed and the next begun; the oldest go when there are too many. Its key and its newest entry are noted apart from it
 * (audit-seal). The file that is written is looked at before each write, and all of them once a second: one that was removed or cut is
 * told by `faults` and by an entry `audit.broken`, and the log goes on in a new file, without giving a number twice. A log that
 * cannot be written is told by `problem`, and what could not be kept is counted in the next entry.
 */
import { constants, type Stats } from 'node:fs';
import { mkdir, open, rename, rm, stat, truncate, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { toRfc3339, type Clock } from '@mig/common/clock';
import { headOfLine, sealEntry, verifyChain, type AuditFact, type AuditHead } from '@mig/common/domain/audit';
import { errorMessage, printable } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { auditFile, listAuditFiles, readAuditLines, type AuditFile } from './audit-files.js';
import { ofLog, recoverAuditLog } from './audit-recovery.js';
import { openSeal, readSeal } from './audit-seal.js';
import { createGathering } from './gathering.js';
import { syncDirectory } from './private-file.js';

/** What parts that have something to tell need of it. */
export interface Audit {
  /** Never waits, never throws. */
  record(fact: AuditFact): void;
}

/** For what must not be answered before it is entered. */
export interface DurableAudit extends Audit {
  /** Resolves when the entry is on disk: true; or when it cannot be kept, which `problem` tells: false. Never rejects. */
  commit(fact: AuditFact): Promise<boolean>;
}

export interface AuditPage {
  /** Oldest first. */
  readonly lines: readonly string[];
  /** What is wrong with these lines, or was found wrong with the log since the start; empty = nothing. */
  readonly faults: readonly string[];
}

export interface AuditLog extends DurableAudit {
  readonly head: AuditHead;
  /** The oldest entry that there should be; 0 = there is none. */
  readonly firstSeq: number;
  /** Up to `limit` lines from entry `fromSeq` on; fewer at the end of a file. */
  read(fromSeq: number, limit: number): Promise<AuditPage>;
  /** What somebody else did to it, as far as it was noticed since the start; empty = nothing. */
  faults(): readonly string[];
  /** Why nothing can be written now; undefined = it can. */
  problem(): string | undefined;
  /** Looks whether its files are still there as they were written. */
  look(): void;
  /** Resolves when all that was recorded is on disk, and its files were looked at. */
  flushed(): Promise<void>;
  close(): Promise<void>;
}

export interface AuditLogOptions {
  readonly directory: string;
  /** Where its key and the note of its newest entry are. */
  readonly sealDirectory: string;
  /** A file that has this many bytes is the last's; default 16 MiB. */
  readonly maxFileBytes?: number;
  /** The oldest beyond it are removed; default 64. */
  readonly maxFiles?: number;
}

/** Facts that wait to be written (I12). Beyond it they are counted, and the count is an entry. */
const MAX_WAITING = 10_000;
/** Characters of one value of an entry … */
const MAX_VALUE = 500;
/** … and of a list of VMs, which only the controller makes. */
const MAX_LIST = 65_536;
/** Faults that are kept for people. */
const MAX_FAULTS = 20;

/** A write that resolves is on the disk: one way there instead of two. */
const APPEND = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_DSYNC;

/** The file that is written. */
interface OpenFile {
  readonly file: AuditFile;
  readonly handle: FileHandle;
  readonly ino: number;
  readonly dev: number;
  bytes: number;
}

interface Waiting {
  readonly fact: AuditFact;
  readonly settle?: (isKept: boolean) => void;
}

/** @throws the file system's error */
export async function openAuditLog(
  options: AuditLogOptions,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<AuditLog> {
  const { directory, sealDirectory, maxFileBytes = 16 * 2 ** 20, maxFiles = 64 } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const stored = await readSeal(sealDirectory);
  const recovered = await recoverAuditLog(await listAuditFiles(directory), stored);
  const files = [...recovered.files];
  let { first } = recovered;
  /** Of what is on disk. */
  let written = recovered.head;
  const seal = await openSeal(sealDirectory, stored.key, { first, head: written });
  let current: OpenFile | undefined;
  if (recovered.current !== undefined) {
    const { file, bytes } = recovered.current;
    current = await openFile(file, APPEND, bytes);
  }
  let waiting: Waiting[] = [];
  let lostCount = 0;
  let failure: string | undefined;
  let writing: Promise<void> | undefined;
  let mustLook = false;
  const gathering = createGathering();
  const faults: string[] = [];
  /** Paths of files that were found missing. */
  const missing = new Set<string>();

  function tell(fault: string): void {
    if (faults.length < MAX_FAULTS) faults.push(fault);
    logger.error(
      { event: 'audit_broken', reason: fault, directory },
      'the audit log was changed by somebody else; "migctl audit verify" says where. It goes on after its newest entry',
    );
    waiting.unshift({ fact: clean(ofLog('audit.broken', 'failed', { reason: fault })) });
  }

  /** @throws the file system's error */
  async function lookAtFiles(): Promise<void> {
    if (mustLook) await lookAtAll();
    if (current === undefined) return;
    const { file, handle, ino, dev, bytes } = current;
    const is = await statIfThere(file.path);
    if (is?.ino === ino && is.dev === dev && is.size === bytes) return;
    const name = path.basename(file.path);
    if (is === undefined) tellMissing(file);
    else if (is.ino !== ino) tell(`${name} was replaced while the controller ran`);
    else tell(`${name} has ${is.size} bytes, and ${bytes} were written`);
    current = undefined;
    await handle.close();
  }

  async function lookAtAll(): Promise<void> {
    mustLook = false;
    // Not for each write, which would wait for it: after a loss of power the note may be a second old, which is no fault.
    await seal.sync();
    const there = new Set((await listAuditFiles(directory)).map((file) => file.path));
    for (const file of files) if (!there.has(file.path)) tellMissing(file);
  }

  function tellMissing(file: AuditFile): void {
    if (missing.has(file.path)) return;
    missing.add(file.path);
    tell(`${path.basename(file.path)} was removed while the controller ran`);
  }

  async function rotate(): Promise<void> {
    if (current !== undefined && current.bytes < maxFileBytes) return;
    const file = auditFile(directory, written.seq + 1);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const begun = await openFile(file, APPEND | constants.O_EXCL).catch(
      async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
        // Left by a write that failed, or somebody else's: it is kept, and nothing of ours is added to it.
        await rename(file.path, `${file.path}.foreign`);
        return openFile(file, APPEND | constants.O_EXCL);
      },
    );
    await syncDirectory(directory);
    await current?.handle.close();
    current = begun;
    missing.delete(file.path);
    if (files.at(-1)?.path !== file.path) files.push(file);
    while (files.length > maxFiles) {
      const oldest = files.shift();
      first = files[0]?.firstSeq ?? first;
      // Noted first: what is missing without a note was removed by somebody else.
      await seal.note({ first, head: written });
      await seal.sync();
      if (oldest !== undefined) await rm(oldest.path, { force: true });
    }
  }

  /** @returns whether they are on disk */
  async function write(facts: readonly AuditFact[]): Promise<boolean> {
    let head = written;
    try {
      await rotate();
      if (current === undefined) throw new Error('no file is open');
      const lines = facts.map((fact) => {
        const sealed = sealEntry(fact, toRfc3339(clock.now()), head, seal.key);
        head = sealed.head;
        return `${sealed.line}\n`;
      });
      const bytes = Buffer.from(lines.join(''));
      try {
        await current.handle.appendFile(bytes);
      } catch (error) {
        // Part of it may be there: what follows must begin on a line of its own, after the last good one.
        const { file, handle, bytes: good } = current;
        await truncate(file.path, good).catch(async () => {
          current = undefined;
          await handle.close();
        });
        throw error;
      }
      current.bytes += bytes.length;
      written = head;
      failure = undefined;
      return true;
    } catch (error) {
      fail(error);
      return false;
    }
  }

  function fail(error: unknown): void {
    const reason = errorMessage(error);
    // Tried again every second: told once.
    if (failure === reason) return;
    failure = reason;
    logger.error(
      { event: 'audit_failed', lost: lostCount, reason: failure, directory },
      'the audit log cannot be written: make room, or give this user the right to write there',
    );
  }

  const isAwaited = (): boolean => mustLook || waiting.some(({ settle }) => settle !== undefined);

  async function writeAll(): Promise<void> {
    while (waiting.length > 0 || lostCount > 0 || mustLook) {
      if (!isAwaited()) await gathering.wait();
      const canWrite = await lookAtFiles().then(
        () => true,
        (error: unknown) => {
          fail(error);
          return false;
        },
      );
      if (canWrite && waiting.length + lostCount === 0) failure = undefined;
      const batch = waiting;
      const lost = lostCount;
      waiting = [];
      lostCount = 0;
      const facts = batch.map(({ fact }) => fact);
      if (lost > 0) facts.push(ofLog('audit.lost', 'failed', { count: String(lost) }));
      if (facts.length === 0) continue;
      const isKept = canWrite && (await write(facts));
      for (const { settle } of batch) settle?.(isKept);
      if (!isKept) {
        lostCount += batch.length + lost;
        return;
      }
      await seal.note({ first, head: written }).catch(fail);
    }
  }

  function kick(): void {
    if (isAwaited()) gathering.end();
    writing ??= writeAll().finally(() => {
      writing = undefined;
      if (waiting.length > 0 || mustLook) kick();
    });
  }

  function enter(entry: Waiting): void {
    if (waiting.length >= MAX_WAITING) {
      lostCount += 1;
      entry.settle?.(false);
    } else waiting.push({ ...entry, fact: clean(entry.fact) });
    kick();
  }

  for (const fault of recovered.faults) tell(fault);
  for (const fact of recovered.facts) {
    logger.warn(
      { event: fact.action.replace('.', '_'), ...fact.detail },
      'the end of the audit log was mended',
    );
    waiting.push({ fact });
  }
  if (stored.key === undefined && written.seq > 0)
    waiting.push({ fact: ofLog('audit.signed', 'done', { reason: 'entries are signed from here on' }) });
  if (waiting.length > 0) kick();

  return {
    get head() {
      return written;
    },
    get firstSeq() {
      return written.seq === 0 ? 0 : first;
    },
    record: (fact) => enter({ fact }),
    commit: (fact) => new Promise((settle) => enter({ fact, settle })),
    async read(fromSeq, limit) {
      let lines: readonly string[] = [];
      const from = Math.max(
        0,
        files.findLastIndex((file) => file.firstSeq <= Math.max(1, fromSeq)),
      );
      for (const file of files.slice(from)) {
        const skip = Math.max(0, fromSeq - file.firstSeq);
        lines = (await readAuditLines(file)).slice(skip, skip + limit);
        // One that is missing does not hide those after it.
        if (lines.length > 0) break;
      }
      const verdict = verifyChain(lines, undefined, seal.key);
      return { lines, faults: verdict.kind === 'intact' ? [...faults] : [...faults, verdict.reason] };
    },
    faults: () => faults,
    problem: () => (failure === undefined ? undefined : `the audit log cannot be written: ${failure}`),
    look() {
      mustLook = true;
      kick();
    },
    async flushed() {
      mustLook = true;
      kick();
      while (writing !== undefined) await writing;
    },
    async close() {
      gathering.end();
      while (writing !== undefined) await writing;
      await current?.handle.close();
      current = undefined;
      await seal.close();
    },
  };
}

/** @throws the file system's error */
async function openFile(file: AuditFile, flags: number, bytes = 0): Promise<OpenFile> {
  const handle = await open(file.path, flags, 0o600);
  const { ino, dev } = await handle.stat();
  return { file, handle, ino, dev, bytes };
}

/** Undefined = it is not there. @throws any other error of the file system */
async function statIfThere(file: string): Promise<Stats | undefined> {
  return stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
}

/** The entry after these lines; undefined = they end with none. */
export function seqAfter(lines: readonly string[]): number | undefined {
  const last = headOfLine(lines.at(-1) ?? '');
  return last === undefined ? undefined : last.seq + 1;
}

/** What came from outside is cut, and its control characters are made visible. */
function clean(fact: AuditFact): AuditFact {
  const tidy = (text: string, maxLength = MAX_VALUE): string => printable(text, maxLength);
  return {
    ...fact,
    actor: tidy(fact.actor),
    target: tidy(fact.target),
    from: tidy(fact.from),
    detail: Object.fromEntries(
      Object.entries(fact.detail).map(([key, value]) => [
        tidy(key),
        tidy(value, key === 'vms' ? MAX_LIST : MAX_VALUE),
      ]),
    ),
  };
}
