/**
 * The audit log's entries and their chain. Each entry has the hash of the one before it in its own hash, so that no entry
 * can be changed, taken out or put in without every later hash being wrong. Pure: the controller writes it, migctl checks it.
 */
import { createHash } from 'node:crypto';

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
}

/** The last entry of a chain: what it must be continued from. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
}

export const NO_HEAD: AuditHead = { seq: 0, hash: '0'.repeat(64) };

/** The line of an entry, without its line break: JSON whose keys are in this order, `hash` last. */
export function sealEntry(fact: AuditFact, at: string, head: AuditHead): { line: string; head: AuditHead } {
  const { actor, action, target, from, outcome, detail } = fact;
  const seq = head.seq + 1;
  const body = JSON.stringify({ seq, at, actor, action, target, from, outcome, detail, prev: head.hash });
  const hash = sha256(body);
  return { line: `${body.slice(0, -1)},"hash":"${hash}"}`, head: { seq, hash } };
}

export type ChainVerdict =
  | { readonly kind: 'intact'; readonly count: number; readonly first: number; readonly head: AuditHead }
  /** `line` counts from 1 over all that was given. */
  | { readonly kind: 'broken'; readonly line: number; readonly reason: string; readonly head: AuditHead };

const SEAL = /^(\{"seq":(\d+),.*"prev":"([0-9a-f]{64})"),"hash":"([0-9a-f]{64})"\}$/s;

/**
 * Checks lines of the log, oldest first, without their line breaks.
 *
 * @param after what the first line must continue; undefined = it may begin anywhere (older files were removed)
 */
export function verifyChain(lines: Iterable<string>, after?: AuditHead): ChainVerdict {
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
    const [, body = '', seqText = '', prev = '', hash = ''] = parts;
    const seq = Number(seqText);
    if (sha256(`${body}}`) !== hash) return broken(`entry ${seq} was changed: its hash is another`);
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

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
