/**
 * The audit log's entries and their chain. Each entry has the hash of the one before it in its own hash, so that no entry
 * can be changed, taken out or put in without every later hash being wrong; and its hash is signed with a key (HMAC) that is
 * kept apart from the log, so that who can write the log alone cannot make all hashes anew. What is missing at its ends is
 * found by the note of what there should be. Pure: the controller writes it, migctl checks it.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

export const AUDIT_OUTCOMES = ['done', 'refused', 'failed'] as const;
/** `done`: it was carried out, or accepted. `refused`: not allowed, or wrong. `failed`: the controller could not. */
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number];

/** Who did what to which thing, from where, with what outcome. No field ever holds a secret (I8). */
export interface AuditFact {
  /** `operator:ann`, `vm:runner-7`, `anonymous`, `controller`. */
  readonly actor: string;
  /** In the imperative, `token.create`; see docs/security.md. */
  readonly action: string;
  /** What it was done to: a VM, a command, a drain, a token; empty = the controller as a whole. */
  readonly target: string;
  /** Address of the peer; empty = the controller itself. */
  readonly from: string;
  readonly outcome: AuditOutcome;
  /** What else a reader needs: the type of a command, a role, the reason of a refusal. */
  readonly detail: Readonly<Record<string, string>>;
}

export interface AuditEntry extends AuditFact {
  /** Counts from 1 without a gap, over all files. */
  readonly seq: number;
  /** RFC 3339. */
  readonly at: string;
  /** `hash` of the entry before; 64 zeros for the first. */
  readonly prev: string;
  /** SHA-256 of all that stands before it in the line. */
  readonly hash: string;
  /** HMAC-SHA256 of `hash`; absent in entries of controllers that had no key yet. */
  readonly mac?: string;
}

/** By what the entries are signed. */
export interface AuditKey {
  readonly bytes: Buffer;
  /** The first entry that must be signed. */
  readonly from: number;
}

/** What there should be of a log, noted apart from it. */
export interface AuditNote {
  /** The oldest entry that was not removed by the controller itself; 1 also where there is none yet. */
  readonly first: number;
  /** The newest, or one that was. */
  readonly head: AuditHead;
}

/** The last entry of a chain: what it must be continued from. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
}

export const NO_HEAD: AuditHead = { seq: 0, hash: '0'.repeat(64) };

/** The line of an entry, without its line break: JSON whose keys are in this order, `hash` and `mac` last. */
export function sealEntry(
  fact: AuditFact,
  at: string,
  head: AuditHead,
  key?: AuditKey,
): { line: string; head: AuditHead } {
  const { actor, action, target, from, outcome, detail } = fact;
  const seq = head.seq + 1;
  const body = JSON.stringify({ seq, at, actor, action, target, from, outcome, detail, prev: head.hash });
  const hash = sha256(body);
  const mac = key === undefined ? '' : `,"mac":"${macOf(hash, key).toString('hex')}"`;
  return { line: `${body.slice(0, -1)},"hash":"${hash}"${mac}}`, head: { seq, hash } };
}

/** What a line says of itself, whether it is true or not; undefined = it is no entry. */
export function headOfLine(line: string): (AuditHead & { readonly prev: string }) | undefined {
  const parts = SEAL.exec(line);
  return parts === null ? undefined : { seq: Number(parts[2]), hash: parts[4] ?? '', prev: parts[3] ?? '' };
}

/** Whether the line is signed, by whatever key. */
export const isSigned = (line: string): boolean => SEAL.exec(line)?.[5] !== undefined;

export type ChainVerdict =
  | { readonly kind: 'intact'; readonly count: number; readonly first: number; readonly head: AuditHead }
  /** `line` counts from 1 over all that was given. */
  | { readonly kind: 'broken'; readonly line: number; readonly reason: string; readonly head: AuditHead };

const SEAL =
  /^(\{"seq":(\d{1,15}),.*"prev":"([0-9a-f]{64})"),"hash":"([0-9a-f]{64})"(?:,"mac":"([0-9a-f]{64})")?\}$/s;

/**
 * Checks lines of the log, oldest first, without their line breaks.
 *
 * @param after what the first line must continue; undefined = it may begin anywhere (older files were removed)
 * @param key without it the signatures are not looked at
 */
export function verifyChain(lines: Iterable<string>, after?: AuditHead, key?: AuditKey): ChainVerdict {
  let head = after;
  let first = 0;
  let count = 0;
  for (const line of lines) {
    count += 1;
    const broken = (reason: string): ChainVerdict => ({
      kind: 'broken',
      line: count,
      reason,
      head: head ?? NO_HEAD,
    });
    const parts = SEAL.exec(line);
    if (parts === null) return broken('it is no entry');
    const [, body = '', seqText = '', prev = '', hash = '', mac] = parts;
    const seq = Number(seqText);
    if (sha256(`${body}}`) !== hash) return broken(`entry ${seq} was changed: its hash is another`);
    if (key !== undefined && !isMacOf(mac, hash, seq, key))
      return broken(
        `entry ${seq} was not written by the controller: it is not signed with the key of the log`,
      );
    if (head !== undefined && seq !== head.seq + 1)
      return broken(`entry ${seq} follows entry ${head.seq}: entries are missing, or out of order`);
    if (head !== undefined && prev !== head.hash)
      return broken(`entry ${seq} does not continue entry ${head.seq}: that one was changed`);
    if (head === undefined && seq === 1 && prev !== NO_HEAD.hash)
      return broken('entry 1 names an entry before it');
    if (count === 1) first = seq;
    head = { seq, hash };
  }
  return { kind: 'intact', count, first, head: head ?? NO_HEAD };
}

/**
 * What of the log is not there, or is another than it should be, though what is there is one chain; undefined = nothing.
 * Lines beyond the head that was noted are welcome: they came since.
 *
 * @param verdict of `verifyChain` for these lines
 */
export function findMissing(
  lines: readonly string[],
  verdict: ChainVerdict & { readonly kind: 'intact' },
  { first, head }: AuditNote,
): string | undefined {
  if (head.seq === 0) return undefined;
  if (verdict.count === 0) return `all of its entries are missing: it should have ${first} to ${head.seq}`;
  if (verdict.first > first) return `${entries(first, verdict.first - 1)} missing from its beginning`;
  const noted = lines[head.seq - verdict.first];
  if (noted === undefined) return `${entries(verdict.head.seq + 1, head.seq)} missing from its end`;
  return headOfLine(noted)?.hash === head.hash
    ? undefined
    : `entry ${head.seq} is another than the controller wrote: all of it was written anew`;
}

const entries = (from: number, to: number): string =>
  from === to ? `entry ${from} is` : `entries ${from} to ${to} are`;

const NOTE = /^(\d{16}) (\d{16}) ([0-9a-f]{64})\n$/;

/** The note as a file: always of the same length, so that it can be written over in place. */
export const formatNote = ({ first, head }: AuditNote): string =>
  `${String(first).padStart(16, '0')} ${String(head.seq).padStart(16, '0')} ${head.hash}\n`;

/** Undefined = it is no note. */
export function parseNote(text: string): AuditNote | undefined {
  const [, first, seq, hash = ''] = NOTE.exec(text) ?? [];
  return first === undefined ? undefined : { first: Number(first), head: { seq: Number(seq), hash } };
}

/** The key as a file. */
export const formatKey = ({ bytes, from }: AuditKey): string =>
  `${JSON.stringify({ version: 1, key: bytes.toString('hex'), from })}\n`;

/** Undefined = it is no key. */
export function parseKey(text: string): AuditKey | undefined {
  const [, key = '', from] = /^\{"version":1,"key":"([0-9a-f]{64})","from":(\d{1,15})\}\n$/.exec(text) ?? [];
  return from === undefined ? undefined : { bytes: Buffer.from(key, 'hex'), from: Number(from) };
}

const macOf = (hash: string, { bytes }: AuditKey): Buffer =>
  createHmac('sha256', bytes).update(hash).digest();

function isMacOf(mac: string | undefined, hash: string, seq: number, key: AuditKey): boolean {
  if (seq < key.from) return true;
  return mac !== undefined && timingSafeEqual(Buffer.from(mac, 'hex'), macOf(hash, key));
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
