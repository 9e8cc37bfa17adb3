import { describe, expect, it } from '@jest/globals';
import { createParts, settled, type Parts } from '../parts.contract.js';
import { vmReport } from '../store/samples.contract.js';

const AWAITING = 'registering.awaitingCommand';
const registrations = ({ queue }: Parts) =>
  queue.list({}).filter((command) => command.type === 'register_runner');
const states = (parts: Parts) => registrations(parts).map((command) => command.state);
const RUNNING_JOB = {
  jobId: '7',
  runId: '1',
  name: 'build',
  repository: 'acme/app',
  branch: 'main',
  commit: 'abc',
  status: 'running',
  startedAt: 0,
} as const;

describe('a MIGlet of ours gets its registration by its state', () => {
  it.each(['registering.connecting', AWAITING])('when it connects in %s', async (state) => {
    const parts = createParts();
    parts.connect({ state });
    await parts.registration.onConnect('vm-1');
    expect(registrations(parts)).toMatchObject([
      { createdBy: 'controller', state: 'queued', parameters: {} },
    ]);
  });

  it.each(['ready.idle', 'ready.busy', 'registering.configuring', 'draining', 'shutdown', 'booting'])(
    'and none when it connects in %s',
    async (state) => {
      const parts = createParts();
      parts.connect({ state });
      await parts.registration.onConnect('vm-1');
      expect(registrations(parts)).toEqual([]);
    },
  );

  it('when it awaits its command later, after its runner ended', async () => {
    const parts = createParts();
    parts.connect({ state: 'ready.idle' });
    await parts.registration.onChange('vm-1');
    expect(registrations(parts)).toEqual([]);
    const identity = { vmId: 'vm-1', poolId: 'pool-a', orgId: 'acme', bootId: 'boot-1', at: 0 };
    parts.fleet.heartbeat({ ...identity, intervalMs: 0, report: vmReport({ state: AWAITING }) });
    await parts.registration.onChange('vm-1');
    expect(registrations(parts)).toHaveLength(1);
  });

  it('none while it has no stream, or is not known', async () => {
    const parts = createParts();
    parts.disconnect(parts.connect({ state: AWAITING }));
    await parts.registration.onChange('vm-1');
    await parts.registration.onConnect('vm-1');
    await parts.registration.onChange('vm-9');
    expect(registrations(parts)).toEqual([]);
  });
});

describe('a registration that ended well, of a VM that said before that it awaits one', () => {
  const beat = (parts: Parts, state: string) =>
    parts.fleet.heartbeat({
      ...{ vmId: 'vm-1', poolId: 'pool-a', orgId: 'acme', bootId: 'boot-1', at: 0, intervalMs: 0 },
      report: vmReport({ state }),
    });

  /** The VM has taken its registration, comes back, awaits one, and only then says what became of the first. */
  async function returned(): Promise<Parts> {
    const parts = createParts();
    const before = parts.connect({ state: AWAITING });
    await parts.registration.onConnect('vm-1');
    const commandId = registrations(parts)[0]?.id ?? '';
    await parts.queue.markSent(commandId, 'boot-1');
    parts.disconnect(before);
    parts.connect({ state: 'registering.connecting' });
    await parts.registration.onConnect('vm-1');
    parts.clock.advance(10);
    beat(parts, AWAITING);
    await parts.registration.onChange('vm-1');
    const ack = { commandId, phase: 'completed', success: true, message: '', result: {} } as const;
    await parts.queue.acknowledge('vm-1', ack);
    parts.registration.onCompleted('vm-1');
    parts.registration.sweep();
    await settled();
    expect(states(parts)).toEqual(['completed']);
    return parts;
  }
  async function sweepAfter(parts: Parts, ms: number): Promise<void> {
    parts.clock.advance(ms);
    parts.registration.sweep();
    await settled();
  }

  it('is followed by another when its next heartbeat still says so: its runner came and went while nobody heard of it', async () => {
    const parts = await returned();
    await sweepAfter(parts, 60_000);
    expect(states(parts)).toEqual(['completed']);
    beat(parts, AWAITING);
    await sweepAfter(parts, 1_000);
    await sweepAfter(parts, 1_000);
    expect(states(parts)).toEqual(['completed', 'queued']);
  });

  it('also where the clock was set back meanwhile', async () => {
    const parts = await returned();
    parts.clock.setNow(parts.clock.now() - 3_600_000);
    await sweepAfter(parts, 1_000);
    parts.clock.advance(1);
    beat(parts, AWAITING);
    await sweepAfter(parts, 1_000);
    expect(states(parts)).toEqual(['completed', 'queued']);
  });

  it('is the last when its next heartbeat says that it is ready', async () => {
    const parts = await returned();
    parts.clock.advance(1_000);
    beat(parts, 'ready.idle');
    await sweepAfter(parts, 1_000);
    beat(parts, 'ready.idle');
    await sweepAfter(parts, 1_000);
    expect(states(parts)).toEqual(['completed']);
  });
});

describe('one registration at a time', () => {
  it('however many occasions come at once, and while the first is being stored', async () => {
    const parts = createParts();
    parts.connect({ state: AWAITING });
    const release = parts.store.hold();
    const { onConnect, onChange } = parts.registration;
    const all = Promise.all([onConnect('vm-1'), onChange('vm-1'), onChange('vm-1')]);
    await settled();
    release();
    await all;
    await onChange('vm-1');
    expect(states(parts)).toEqual(['queued']);
  });

  it('another comes when the first has ended and the VM still waits', async () => {
    const parts = createParts();
    parts.connect({ state: AWAITING });
    await parts.registration.onChange('vm-1');
    const [first] = registrations(parts);
    const commandId = first?.id ?? '';
    void parts.queue.markSent(commandId, 'boot-1');
    await parts.queue.acknowledge('vm-1', {
      commandId,
      phase: 'completed',
      success: false,
      message: 'no',
      result: {},
    });
    await parts.registration.onChange('vm-1');
    expect(states(parts)).toEqual(['failed', 'queued']);
  });

  it('when it fails again and again there are pauses, from 1 s to 1 min, until the VM is ready (I12)', async () => {
    const parts = createParts();
    parts.connect({ state: AWAITING });
    const { onChange } = parts.registration;
    const failLast = async () => {
      parts.queue.end(registrations(parts).at(-1)?.id ?? '', 'failed', 'no');
      await onChange('vm-1');
    };
    await onChange('vm-1');
    await failLast();
    expect(states(parts)).toEqual(['failed', 'queued']);
    for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      await failLast();
      const before = registrations(parts).length;
      parts.clock.advance(pauseMs - 1);
      await onChange('vm-1');
      expect(registrations(parts)).toHaveLength(before);
      parts.clock.advance(1);
      await settled();
      expect(states(parts).slice(before)).toEqual(['queued']);
    }
    const commandId = registrations(parts).at(-1)?.id ?? '';
    await parts.queue.acknowledge('vm-1', {
      commandId,
      phase: 'completed',
      success: true,
      message: '',
      result: {},
    });
    parts.connect({ state: 'ready.idle' });
    await onChange('vm-1');
    parts.connect({ state: AWAITING });
    await onChange('vm-1');
    await failLast();
    expect(states(parts).slice(-2)).toEqual(['failed', 'queued']);
  });

  it('one that could not be stored is reported, and does not stand in the way of the next', async () => {
    const parts = createParts();
    parts.connect({ state: AWAITING });
    parts.store.failNext(1);
    await parts.registration.onConnect('vm-1').catch(() => undefined);
    await parts.registration.onChange('vm-1');
    expect(states(parts)).toEqual(['queued']);
  });
});

describe('a legacy MIGlet gets one at every connect', () => {
  it('and what is left of the last connect is superseded', async () => {
    const parts = createParts();
    for (let n = 0; n < 3; n += 1) {
      parts.connect({ bootId: '', state: '' }, `session-${n}`);
      await parts.registration.onConnect('vm-1');
    }
    expect(states(parts)).toEqual(['superseded', 'superseded', 'queued']);
  });

  it('but none while a job runs on it (I5)', async () => {
    const parts = createParts();
    const first = parts.connect({ bootId: '', state: '' });
    await parts.registration.onConnect('vm-1');
    const identity = { vmId: 'vm-1', poolId: 'pool-a', orgId: 'acme', bootId: '', at: 0 };
    parts.fleet.heartbeat({
      ...identity,
      intervalMs: 0,
      report: vmReport({ state: 'job_running', currentJob: RUNNING_JOB }),
    });
    parts.disconnect(first);
    parts.connect({ bootId: '', state: '' });
    await parts.registration.onConnect('vm-1');
    expect(states(parts)).toEqual(['superseded']);
  });

  it('and none by its state', async () => {
    const parts = createParts();
    parts.connect({ bootId: '', state: 'ready' });
    await parts.registration.onChange('vm-1');
    expect(registrations(parts)).toEqual([]);
  });
});
