import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NO_HEAD, sealEntry, verifyChain, type AuditEntry, type AuditFact } from './audit.js';

const fact = (target: string): AuditFact => ({
  actor: 'operator:ann',
  action: 'command.submit',
  target,
  from: '10.0.0.7',
  outcome: 'done',
  detail: { type: 'drain' },
});

function chain(targets: readonly string[]): string[] {
  let head = NO_HEAD;
  return targets.map((target) => {
    const sealed = sealEntry(fact(target), '2026-11-21T02:00:00.000Z', head);
    head = sealed.head;
    return sealed.line;
  });
}

describe('the chain of the audit log', () => {
  it('is intact as it was written, whatever the entries say', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 20 }), (targets) => {
        const lines = chain(targets);
        expect(verifyChain(lines, NO_HEAD)).toMatchObject({ kind: 'intact', count: targets.length });
        expect(lines.map((line) => (JSON.parse(line) as AuditEntry).target)).toEqual(targets.map(wellFormed));
      }),
    );
  });

  it('is broken by any change of any entry, at that entry', () => {
    const lines = chain(['vm-1', 'vm-2', 'vm-3', 'vm-4']);
    fc.assert(
      fc.property(
        fc.nat(lines.length - 1),
        fc.nat(1_000),
        fc.constantFrom('x', '"', ' ', '0', '}'),
        (at, place, put) => {
          const line = lines[at] ?? '';
          const index = place % line.length;
          const changed = line.slice(0, index) + put + line.slice(index + 1);
          if (changed === line) return;
          const verdict = verifyChain(lines.with(at, changed), NO_HEAD);
          expect(verdict).toMatchObject({ kind: 'broken', line: at + 1 });
        },
      ),
    );
  });

  it('is broken by an entry that was taken out, put in twice, or moved', () => {
    const [a = '', b = '', c = ''] = chain(['vm-1', 'vm-2', 'vm-3']);
    for (const lines of [
      [a, c],
      [b, c],
      [a, b, b, c],
      [a, c, b],
    ])
      expect(verifyChain(lines, NO_HEAD).kind).toBe('broken');
  });

  it('is broken where an entry was changed and its own hash made anew', () => {
    const lines = chain(['vm-1', 'vm-2', 'vm-3']);
    const [first = ''] = lines;
    const forged = sealEntry(fact('vm-9'), '2026-11-21T02:00:00.000Z', verifyHead(first)).line;
    expect(verifyChain(lines.with(1, forged), NO_HEAD)).toMatchObject({ kind: 'broken', line: 3 });
  });

  it('of which old files were removed is intact from where it begins, and a lost end is found by a head that was noted', () => {
    const lines = chain(['vm-1', 'vm-2', 'vm-3']);
    expect(verifyChain(lines.slice(1))).toMatchObject({ kind: 'intact', first: 2, head: { seq: 3 } });
    const noted = verifyHead(lines[2] ?? '');
    expect(verifyChain(lines.slice(0, 2), NO_HEAD)).not.toMatchObject({ head: noted });
  });
});

function verifyHead(line: string): { seq: number; hash: string } {
  const { seq, hash } = JSON.parse(line) as AuditEntry;
  return { seq, hash };
}

/** JSON keeps lone surrogates as escapes, and gives them back. */
const wellFormed = (text: string): string => JSON.parse(JSON.stringify(text)) as string;
