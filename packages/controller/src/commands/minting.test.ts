import { describe, expect, it } from '@jest/globals';
import { ok, retryable, type Outcome } from '@mig/common/outcome';
import type { Parameters } from '@mig/common/domain/command';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { commandRecord, vmRecord } from '../store/samples.contract.js';
import { createMinting } from './minting.js';

const MINUTE_MS = 60_000;
const register = (id = 'cmd-1') => commandRecord({ id, type: 'register_runner', parameters: {} });

function create() {
  const clock = createManualClock();
  const answers: ((outcome: Outcome<Parameters>) => void)[] = [];
  const minting = createMinting({
    clock,
    registrar: { mint: () => new Promise((resolve) => answers.push(resolve)) },
  });
  return { clock, answers, minting };
}

describe('what a registration goes out with', () => {
  it('is minted once, however often the command is delivered meanwhile and after', async () => {
    const { answers, minting } = create();
    const both = [minting.mint(register(), vmRecord()), minting.mint(register(), vmRecord())];
    answers[0]?.(ok({ jit_config: 'first' }));
    expect(await Promise.all(both)).toEqual([ok({ jit_config: 'first' }), ok({ jit_config: 'first' })]);
    expect(await minting.mint(register(), vmRecord())).toEqual(ok({ jit_config: 'first' }));
    expect(answers).toHaveLength(1);
  });

  it('is another for another command, for another boot, and when it was forgotten', async () => {
    const { answers, minting } = create();
    void minting.mint(register(), vmRecord());
    answers[0]?.(ok({}));
    expect(minting.has('cmd-1', 'boot-1')).toBe(true);
    expect(minting.has('cmd-1', 'boot-2')).toBe(false);
    void minting.mint(register('cmd-2'), vmRecord());
    void minting.mint(register(), vmRecord({ bootId: 'boot-2' }));
    minting.forget('cmd-2');
    expect(minting.has('cmd-2', 'boot-1')).toBe(false);
    void minting.mint(register('cmd-2'), vmRecord());
    expect(answers).toHaveLength(4);
  });

  it('is asked for again after a failure', async () => {
    const { answers, minting } = create();
    const first = minting.mint(register(), vmRecord());
    answers[0]?.(retryable('GitHub is away'));
    expect(await first).toEqual(retryable('GitHub is away'));
    void minting.mint(register(), vmRecord());
    expect(answers).toHaveLength(2);
  });

  it('is not used when it is five minutes old: a configuration ages; one that is on its way is waited for', async () => {
    const { clock, answers, minting } = create();
    const first = minting.mint(register(), vmRecord());
    clock.advance(10 * MINUTE_MS);
    expect(minting.has('cmd-1', 'boot-1')).toBe(true);
    answers[0]?.(ok({}));
    await first;
    expect(minting.has('cmd-1', 'boot-1')).toBe(false);
    const second = minting.mint(register(), vmRecord());
    answers[1]?.(ok({}));
    await second;
    clock.advance(5 * MINUTE_MS - 1);
    expect(minting.has('cmd-1', 'boot-1')).toBe(true);
    clock.advance(1);
    expect(minting.has('cmd-1', 'boot-1')).toBe(false);
  });

  it('that fails in an unforeseen way is a failure like others', async () => {
    const minting = createMinting({
      clock: createManualClock(),
      registrar: { mint: () => Promise.reject(new Error('boom')) },
    });
    expect(await minting.mint(register(), vmRecord())).toEqual(retryable('boom'));
  });
});
