/** What a controller finds of its audit log when it starts: where the log goes on, and what is wrong with what is there. */
import { appendFile, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  NO_HEAD,
  findMissing,
  headOfLine,
  isSigned,
  verifyChain,
  type AuditFact,
  type AuditHead,
  type AuditKey,
} from '@mig/common/domain/audit';
import { findGaps, readAuditLines, type AuditFile } from './audit-files.js';
import type { StoredSeal } from './audit-seal.js';

export interface Recovered {
  /** The next entry continues this one. No number is given twice, also where entries are missing. */
  readonly head: AuditHead;
  /** The oldest entry that there should be. */
  readonly first: number;
  /** The file that goes on, and its size; undefined = a new one is begun. */
  readonly current: { readonly file: AuditFile; readonly bytes: number } | undefined;
  readonly files: readonly AuditFile[];
  /** What was changed by somebody else; empty = nothing. */
  readonly faults: readonly string[];
  /** What happened at its end, to be entered. */
  readonly facts: readonly AuditFact[];
}

/** @throws the file system's error */
export async function recoverAuditLog(
  found: readonly AuditFile[],
  { key, note }: StoredSeal,
): Promise<Recovered> {
  const files = [...found];
  let last = files.at(-1);
  let lines: readonly string[] = [];
  let bytes = 0;
  const facts: AuditFact[] = [];
  if (last !== undefined) {
    const fact = await mendEnd(last, key);
    if (fact !== undefined) facts.push(fact);
    lines = await readAuditLines(last);
    bytes = Buffer.byteLength(lines.map((line) => `${line}\n`).join(''));
  }
  if (last !== undefined && bytes === 0 && (note?.head.seq ?? 0) < last.firstSeq) {
    // Begun, and then the controller died.
    await rm(last.path, { force: true });
    files.pop();
    last = files.at(-1);
    lines = last === undefined ? [] : await readAuditLines(last);
    bytes = Buffer.byteLength(lines.map((line) => `${line}\n`).join(''));
  }
  const first = note?.first ?? files[0]?.firstSeq ?? 1;
  const lost = findLoss(last, lines, { key, note });
  const gaps = await findGaps(files, first);
  const ends = [headOfLine(lines.at(-1) ?? ''), note?.head].filter((end) => end !== undefined);
  const head = ends.reduce<AuditHead>((a, b) => (b.seq > a.seq ? b : a), NO_HEAD);
  return {
    head: { seq: head.seq, hash: head.hash },
    first,
    // What was changed is left as it is; what follows stands in a file of its own.
    current: last === undefined || lost.length > 0 ? undefined : { file: last, bytes },
    files,
    faults: [...new Set([...lost, ...gaps])],
    facts,
  };
}

/** What is wrong with the newest file, and with what is noted apart from the log. */
function findLoss(
  last: AuditFile | undefined,
  lines: readonly string[],
  { key, note }: StoredSeal,
): string[] {
  const faults: string[] = [];
  if (key === undefined && lines.some(isSigned)) faults.push('its key (.auth/audit-key) is missing');
  if (key !== undefined && note === undefined)
    faults.push('the note of its newest entry (.auth/audit-head) is missing');
  const verdict = verifyChain(lines, undefined, key);
  if (verdict.kind === 'broken') {
    const name = last === undefined ? '' : `${path.basename(last.path)}, `;
    return [...faults, `${name}line ${verdict.line}: ${verdict.reason}`];
  }
  if (note === undefined || (last !== undefined && note.head.seq < last.firstSeq)) return faults;
  const missing = findMissing(lines, verdict, { first: last?.firstSeq ?? note.first, head: note.head });
  return missing === undefined ? faults : [...faults, missing];
}

/**
 * A last line without its line break: an entry that is whole is kept; what a crash tore is put aside, as `.torn`.
 * @returns what to enter about it; undefined = there was nothing
 */
async function mendEnd(file: AuditFile, key: AuditKey | undefined): Promise<AuditFact | undefined> {
  const content = await readFile(file.path);
  const end = content.lastIndexOf(0x0a) + 1;
  if (end === content.length) return undefined;
  const tail = content.subarray(end).toString('utf8');
  const before = content.subarray(0, end).toString('utf8').split('\n').at(-2);
  const entry = headOfLine(tail);
  const isWhole =
    entry !== undefined &&
    verifyChain([...(before === undefined ? [] : [before]), tail], undefined, key).kind === 'intact';
  if (isWhole) {
    await appendFile(file.path, '\n');
    return ofLog('audit.mended', 'done', { entry: String(entry.seq), reason: 'its line break was missing' });
  }
  await writeFile(`${file.path}.torn`, content.subarray(end), { mode: 0o600 });
  await truncate(file.path, end);
  return ofLog('audit.torn', 'failed', {
    bytes: String(content.length - end),
    reason: 'the last line was torn by a crash, or cut; it is kept beside the file, as .torn',
  });
}

/** Of the log itself. */
export const ofLog = (
  action: string,
  outcome: AuditFact['outcome'],
  detail: Readonly<Record<string, string>>,
): AuditFact => ({ actor: 'controller', action, target: '', from: '', outcome, detail });
