import { describe, expect, it } from '@jest/globals';
import {
  TOKEN,
  createParts,
  gitHubAway,
  gitHubRefuses,
  minted,
  settled,
  type FakeLink,
  type Parts,
} from '../parts.contract.js';
import { ok } from '@mig/common/outcome';
import { createMemoryStore } from '../store/memory-store.contract.js';
import { commandRecord } from '../store/samples.contract.js';

const HOUR_MS = 3_600_000;
const REGISTER = { type: 'register_runner', parameters: {} } as const;
const sentIds = (link: FakeLink) => link.commands().map((command) => command.id);

async function attach(parts: Parts, ...connect: Parameters<Parts['connect']>): Promise<FakeLink> {
  const link = parts.connect(...connect);
  parts.delivery.attach(link.vmId);
  await settled();
  return link;
}

async function kick(parts: Parts): Promise<void> {
  parts.delivery.kick('vm-1');
  await settled();
}

describe('delivering', () => {
  it('what was queued while the VM was away goes out when it returns, in its order, each once', async () => {
    const parts = createParts();
    const queued = [
      await parts.submit(),
      await parts.submit({ type: 'drain', parameters: {} }),
      await parts.submit({ type: 'update_config', parameters: { log_level: 'info' } }),
    ];
    await kick(parts);
    const link = await attach(parts);
    await kick(parts);
    expect(sentIds(link)).toEqual(queued.map((command) => command.id));
    expect(link.commands()[0]).toEqual({
      id: queued[0]?.id,
      type: 'set_log_level',
      parameters: { level: 'debug' },
      createdAt: parts.clock.now(),
      startWithinMs: HOUR_MS + 5 * 60_000,
      attempt: 1,
    });
    expect(parts.queue.get(queued[0]?.id ?? '')).toMatchObject({
      state: 'sent',
      attempts: 1,
      sentToBoot: 'boot-1',
      sentAt: parts.clock.now(),
    });
  });

  it('nothing goes onto a stream before its VM has been looked at for a registration', async () => {
    const parts = createParts();
    await parts.submit();
    const link = parts.connect();
    await kick(parts);
    expect(link.sent).toEqual([]);
  });

  it('a command goes nowhere before it is on disk, however often delivery is kicked (I1)', async () => {
    const parts = createParts();
    const link = await attach(parts);
    const release = parts.store.hold();
    const submitted = parts.submit();
    await kick(parts);
    expect(link.sent).toEqual([]);
    release();
    const { id } = await submitted;
    await kick(parts);
    expect(sentIds(link)).toEqual([id]);
  });

  it('a command that is stored for the boot that is connected goes out at once, and nothing is stored once more for that (I2)', async () => {
    const parts = createParts();
    const link = await attach(parts);
    const { id } = await parts.submit();
    const release = parts.store.hold();
    parts.delivery.kick('vm-1');
    expect(sentIds(link)).toEqual([id]);
    expect(parts.queue.get(id)).toMatchObject({ state: 'sent', attempts: 1, sentToBoot: 'boot-1' });
    release();
  });

  it('what was sent and not acknowledged goes out again on the next stream, as another attempt; what ended does not', async () => {
    const parts = createParts();
    const [lost, done] = [
      await parts.submit(),
      await parts.submit({ type: 'update_config', parameters: { log_level: 'info' } }),
    ];
    const first = await attach(parts);
    const completed = {
      commandId: done.id,
      phase: 'completed',
      success: true,
      message: '',
      result: {},
    } as const;
    await parts.queue.acknowledge('vm-1', completed);
    parts.disconnect(first);
    expect(parts.queue.get(lost.id).state).toBe('queued');
    const second = await attach(parts);
    expect(second.commands()).toMatchObject([{ id: lost.id, attempt: 2 }]);
  });

  it('a stream that takes nothing leaves the command in the queue', async () => {
    const parts = createParts();
    const { id } = await parts.submit();
    const link = parts.connect();
    link.taking = false;
    parts.delivery.attach('vm-1');
    await settled();
    expect(parts.queue.get(id)).toMatchObject({ state: 'queued', attempts: 1 });
  });

  it('a command that was cancelled is not sent', async () => {
    const parts = createParts();
    const { id } = await parts.submit();
    await parts.queue.cancel(id);
    expect((await attach(parts)).sent).toEqual([]);
  });

  it('after a stop nothing goes out, and no timer is left', async () => {
    const parts = createParts();
    parts.registrar.answer = () => gitHubAway();
    await parts.submit(REGISTER);
    const link = await attach(parts);
    parts.delivery.stop();
    expect(parts.clock.timerCount).toBe(0);
    await parts.submit();
    await kick(parts);
    expect(link.sent).toEqual([]);
  });
});

describe('a registration', () => {
  it('gets its token on the way out: never in the store, the feed or the log (I8, I9)', async () => {
    const parts = createParts();
    const { id } = await parts.submit({ ...REGISTER, parameters: { labels: ['gpu'] } });
    const link = await attach(parts);
    expect(link.commands()).toMatchObject([
      { id, parameters: { registration_token: TOKEN, labels: ['gpu'] } },
    ]);
    parts.disconnect(link);
    await attach(parts);
    const elsewhere = [
      [...parts.store.commands.values()],
      parts.queue.list({}),
      parts.changes,
      parts.log.text(),
    ];
    expect(JSON.stringify(elsewhere)).not.toContain(TOKEN);
  });

  it('waits while GitHub is away and says why, lets others pass, and goes out when GitHub is back', async () => {
    const parts = createParts();
    parts.registrar.answer = () => gitHubAway();
    const [waits, passes] = [await parts.submit(REGISTER), await parts.submit()];
    const link = await attach(parts);
    expect(sentIds(link)).toEqual([passes.id]);
    expect(parts.queue.get(waits.id)).toMatchObject({
      state: 'queued',
      message: 'waits for GitHub: GitHub answered 502',
    });
    // Half of 2 s, 4 s, 8 s, … (backoff with a random of 0.5).
    for (const [index, delayMs] of [1_000, 2_000, 4_000].entries()) {
      parts.clock.advance(delayMs - 1);
      await settled();
      expect(parts.registrar.asked).toHaveLength(index + 1);
      parts.clock.advance(1);
      await settled();
      expect(parts.registrar.asked).toHaveLength(index + 2);
    }
    parts.registrar.answer = (_, wanted) => minted(wanted);
    parts.clock.advance(8_000);
    await settled();
    expect(sentIds(link)).toEqual([passes.id, waits.id]);
    expect(parts.queue.get(waits.id)).toMatchObject({ state: 'sent', message: undefined });
    expect(parts.clock.timerCount).toBe(0);
  });

  it("of the controller's own goes first, whatever was queued before it", async () => {
    const parts = createParts();
    const own = { ...REGISTER, createdBy: 'controller' };
    const [earlier, register] = [await parts.submit(), await parts.submit(own)];
    expect(sentIds(await attach(parts))).toEqual([register.id, earlier.id]);
  });

  it('that an operator submitted keeps its place', async () => {
    const parts = createParts();
    const [earlier, register] = [await parts.submit(), await parts.submit(REGISTER)];
    expect(sentIds(await attach(parts))).toEqual([earlier.id, register.id]);
  });

  it('and any other command is on disk as sent before it goes out (I2)', async () => {
    const parts = createParts();
    const { id } = await parts.submit();
    const release = parts.store.hold();
    const link = await attach(parts);
    expect(sentIds(link)).toEqual([]);
    release();
    await settled();
    expect(sentIds(link)).toEqual([id]);
    expect(parts.store.commands.get(id)).toMatchObject({
      state: 'sent',
      attempts: 1,
      sentToBoot: link.bootId,
    });
  });

  it('does not hold the others up for longer than 3 s when GitHub is slow, and follows when it has answered', async () => {
    const parts = createParts();
    let answer = () => {};
    parts.registrar.answer = (_, wanted) =>
      new Promise((resolve) => (answer = () => resolve(minted(wanted))));
    const [register, other] = [await parts.submit(REGISTER), await parts.submit()];
    const link = await attach(parts);
    parts.clock.advance(2_999);
    await settled();
    expect(link.sent).toEqual([]);
    parts.clock.advance(1);
    await settled();
    expect(sentIds(link)).toEqual([other.id]);
    expect(parts.queue.get(register.id).message).toBe('waits for GitHub: it has not answered yet');
    answer();
    parts.registrar.answer = (_, wanted) => minted(wanted);
    parts.clock.advance(1_000);
    await settled();
    expect(sentIds(link)).toEqual([other.id, register.id]);
  });

  it('is not asked for earlier than GitHub said', async () => {
    const parts = createParts();
    parts.registrar.answer = () => gitHubAway(300_000);
    await parts.submit(REGISTER);
    await attach(parts);
    parts.clock.advance(299_999);
    await settled();
    expect(parts.registrar.asked).toHaveLength(1);
    parts.clock.advance(1);
    await settled();
    expect(parts.registrar.asked).toHaveLength(2);
  });

  it('that can never succeed fails, and says what would have to change', async () => {
    const parts = createParts();
    parts.registrar.answer = () => gitHubRefuses();
    const { id } = await parts.submit(REGISTER);
    expect((await attach(parts)).sent).toEqual([]);
    expect(parts.queue.get(id)).toMatchObject({ state: 'failed', message: 'VM vm-1 names no organization' });
  });

  it.each(['the stream was replaced', 'the command was cancelled'])(
    'is not sent if %s while its token was minted',
    async (what) => {
      const parts = createParts();
      let answer = () => {};
      parts.registrar.answer = (_, wanted) =>
        new Promise((resolve) => (answer = () => resolve(minted(wanted))));
      const { id } = await parts.submit(REGISTER);
      const old = await attach(parts);
      if (what === 'the command was cancelled') await parts.queue.cancel(id);
      else parts.connect({}, 'session-2');
      answer();
      await settled();
      expect(old.sent).toEqual([]);
      expect(parts.queue.get(id).attempts).toBe(0);
    },
  );
});

describe('a registration that may have reached the VM before', () => {
  const registration = (link: FakeLink) => link.commands()[0];

  /** The registration was sent to boot-1 by the controller before. */
  async function afterRestart(): Promise<Parts> {
    const before = createParts();
    await before.submit(REGISTER);
    await attach(before);
    return createParts({ store: createMemoryStore({ commands: [...before.store.commands.values()] }) });
  }

  it('goes out again with what was minted for it: another would take the runner away that the VM may have', async () => {
    const parts = createParts();
    let count = 0;
    parts.registrar.answer = (_, wanted) => ok({ ...wanted, jit_config: `config-${(count += 1)}` });
    await parts.submit(REGISTER);
    const first = await attach(parts);
    parts.disconnect(first);
    const second = await attach(parts);
    expect(registration(second)).toMatchObject({ attempt: 2, parameters: { jit_config: 'config-1' } });
    parts.disconnect(second);
    parts.clock.advance(5 * 60_000);
    const waiting = await attach(parts, { state: 'registering.awaitingCommand' });
    expect(registration(waiting)?.parameters).toEqual({ jit_config: 'config-2' });
    const other = await attach(parts, { bootId: 'boot-2' });
    expect(registration(other)?.parameters).toEqual({ jit_config: 'config-3' });
  });

  it.each(['registering.configuring', 'registering.starting', 'ready.idle', 'draining.deregistering'])(
    'from an earlier controller is asked as a question of a VM in %s, and nothing is minted',
    async (state) => {
      const parts = await afterRestart();
      const link = await attach(parts, { state });
      expect(registration(link)).toMatchObject({ startWithinMs: -1, attempt: 2, parameters: {} });
      expect(parts.registrar.asked).toEqual([]);
    },
  );

  it.each(['registering.awaitingCommand', 'registering.connecting'])(
    'from an earlier controller goes out with another to a VM that still waits (%s)',
    async (state) => {
      const parts = await afterRestart();
      const link = await attach(parts, { state });
      expect(registration(link)).toMatchObject({ attempt: 2, parameters: { registration_token: TOKEN } });
      expect(registration(link)?.startWithinMs).toBeGreaterThan(0);
    },
  );

  it('and that GitHub refuses late is tried again when GitHub says, not at once', async () => {
    const parts = createParts();
    let answer: () => void = () => undefined;
    parts.registrar.answer = () => new Promise((resolve) => (answer = () => resolve(gitHubAway(60_000))));
    const { id } = await parts.submit(REGISTER);
    await attach(parts);
    parts.clock.advance(3_000);
    await settled();
    answer();
    await settled();
    expect(parts.queue.get(id).message).toBe('waits for GitHub: GitHub answered 502');
    parts.clock.advance(59_999);
    await settled();
    expect(parts.registrar.asked).toHaveLength(1);
    parts.clock.advance(1);
    await settled();
    expect(parts.registrar.asked).toHaveLength(2);
  });
});

describe('what may have reached the VM before (I2, I3)', () => {
  it.each(['drain', 'shutdown'])(
    'a %s that went to another boot is asked as a question: it must not end this one',
    async (type) => {
      const parts = createParts();
      const { id } = await parts.submit({ type, parameters: {} });
      parts.disconnect(await attach(parts));
      const sameBoot = await attach(parts);
      expect(sameBoot.commands()[0]?.startWithinMs).toBeGreaterThan(0);
      parts.disconnect(sameBoot);
      const nextBoot = await attach(parts, { bootId: 'boot-2' });
      expect(nextBoot.commands()).toMatchObject([{ id, startWithinMs: -1, attempt: 3 }]);
    },
  );

  it.each(['drain', 'undrain', 'shutdown'])(
    'a %s that was submitted for one boot does not reach the next, and says so',
    async (type) => {
      const parts = createParts();
      const { id } = await parts.submit({ type, parameters: {}, forBoot: 'boot-1' });
      const link = parts.connect({ bootId: 'boot-2' });
      parts.delivery.attach('vm-1');
      await settled();
      expect(link.commands()).toEqual([]);
      expect(parts.queue.get(id)).toMatchObject({
        state: 'expired',
        message: 'it was for boot boot-1, and the VM came back as another',
      });
    },
  );

  it('a shutdown that was sent to one boot reaches no legacy MIGlet of the same name', async () => {
    const parts = createParts();
    const first = await attach(parts);
    const { id } = await parts.submit({ type: 'shutdown', parameters: {}, forBoot: 'boot-1' });
    await kick(parts);
    expect(sentIds(first)).toEqual([id]);
    parts.disconnect(first);
    const link = parts.connect({ bootId: '' });
    parts.delivery.attach('vm-1');
    await settled();
    expect(link.commands()).toEqual([]);
    expect(parts.queue.get(id)).toMatchObject({ state: 'expired' });
  });

  it('a command of another type goes to the next boot as it is', async () => {
    const parts = createParts();
    await parts.submit();
    parts.disconnect(await attach(parts));
    const link = await attach(parts, { bootId: 'boot-2' });
    expect(link.commands()[0]?.startWithinMs).toBeGreaterThan(0);
  });

  it('what the VM has taken is asked about on its next stream, and before anything else', async () => {
    const parts = createParts();
    const taken = await parts.submit({ type: 'drain', parameters: {} });
    parts.disconnect(await attach(parts));
    await parts.queue.acknowledge('vm-1', {
      commandId: taken.id,
      phase: 'received',
      success: true,
      message: '',
      result: {},
    });
    const queued = await parts.submit();
    const link = await attach(parts);
    expect(link.commands()).toMatchObject([{ id: taken.id, startWithinMs: -1 }, { id: queued.id }]);
    expect(parts.queue.get(taken.id)).toMatchObject({ state: 'received', attempts: 1 });
  });

  it('a command whose time passed is expired if it never went out, and asked about if it did', async () => {
    const commands = [
      commandRecord({ id: 'cmd-never', deliveryDeadlineAt: 1, sequence: 1 }),
      commandRecord({
        id: 'cmd-maybe',
        deliveryDeadlineAt: 1,
        sequence: 2,
        attempts: 1,
        sentToBoot: 'boot-1',
      }),
    ];
    const parts = createParts({ store: createMemoryStore({ commands }) });
    const link = await attach(parts);
    expect(link.commands()).toMatchObject([{ id: 'cmd-maybe', startWithinMs: -1 }]);
    expect(parts.queue.get('cmd-never').state).toBe('expired');
  });

  it('a legacy MIGlet is never asked, for it would run it: what is too late for it expires', async () => {
    const commands = [commandRecord({ deliveryDeadlineAt: 1, attempts: 1 })];
    const parts = createParts({ store: createMemoryStore({ commands }) });
    expect((await attach(parts, { bootId: '' })).sent).toEqual([]);
    expect(parts.queue.get('cmd-1').state).toBe('expired');
  });
});
