import { describe, expect, it } from '@jest/globals';
import type { VmReport } from '@mig/common/domain/vm';
import { createParts, settled, type Parts } from '../parts.contract.js';
import { createMemoryStore } from '../store/memory-store.contract.js';
import { vmEvent, vmRecord, vmReport } from '../store/samples.contract.js';

const MINUTE_MS = 60_000;

const beat = ({ fleet, clock }: Parts, report: Partial<VmReport> = {}, bootId = 'boot-1', intervalMs = 0) =>
  fleet.heartbeat({
    vmId: 'vm-1',
    poolId: 'pool-a',
    orgId: 'acme',
    bootId,
    at: clock.now(),
    intervalMs,
    report: vmReport(report),
  });
const vm = ({ fleet }: Parts) => fleet.get('vm-1')?.record;
const vmChanges = ({ changes }: Parts) => changes.filter((change) => change.kind === 'vm').length;

describe('a VM appears', () => {
  it('by its stream: recorded at once, told, and not known before', async () => {
    const parts = createParts();
    const { record, known } = parts.fleet.connect({
      vmId: 'vm-1',
      poolId: 'p',
      orgId: 'o',
      version: '1',
      bootId: 'b',
      state: 'ready.idle',
      labels: ['x'],
    });
    expect(known).toBe(false);
    expect(record).toMatchObject({
      state: 'ready.idle',
      labels: ['x'],
      firstSeenAt: parts.clock.now(),
      outcome: undefined,
    });
    await settled();
    expect(parts.store.vms.get('vm-1')).toEqual(record);
    expect(vmChanges(parts)).toBe(1);
  });

  it('by its announcement; the stream that follows is of a known boot', () => {
    const parts = createParts();
    parts.fleet.apply(vmEvent({ type: 'vm_started', data: { version: '1' } }));
    expect(vm(parts)).toMatchObject({ state: 'booting', version: '1', bootId: 'boot-1' });
    expect(
      parts.fleet.connect({
        vmId: 'vm-1',
        poolId: 'p',
        orgId: 'o',
        version: '1',
        bootId: 'boot-1',
        state: 'registering.connecting',
        labels: [],
      }).known,
    ).toBe(true);
    expect(vm(parts)?.state).toBe('registering.connecting');
  });

  it('and says what it runs on, which stays known when it is silent about it, in another boot too', () => {
    const parts = createParts();
    const announce = (data: Record<string, string>, bootId = 'boot-1') =>
      parts.fleet.apply(vmEvent({ type: 'vm_started', bootId, data }));
    announce({ os: 'linux', architecture: 'arm64' });
    expect(vm(parts)?.platform).toEqual({ os: 'linux', architecture: 'arm64' });
    parts.connect();
    announce({ os: 'plan9', architecture: 'x64' });
    announce({}, 'boot-2');
    expect(vm(parts)?.platform).toEqual({ os: 'linux', architecture: 'arm64' });
    announce({ os: 'linux', architecture: 'x64' }, 'boot-3');
    expect(vm(parts)?.platform).toEqual({ os: 'linux', architecture: 'x64' });
  });

  it('a MIGlet that came back in the same boot announces the state that it is in', () => {
    const parts = createParts();
    parts.connect();
    parts.fleet.apply(vmEvent({ type: 'vm_started', data: { miglet_state: 'ready.busy' } }));
    expect(vm(parts)?.state).toBe('ready.busy');
  });

  it('events and heartbeats of a VM or a boot that is not known change nothing', () => {
    const parts = createParts();
    parts.fleet.apply(vmEvent());
    beat(parts);
    expect(parts.fleet.list()).toEqual([]);
    parts.connect();
    const before = vm(parts);
    expect(beat(parts, { state: 'draining' }, 'boot-0')).toBe(false);
    parts.fleet.apply(vmEvent({ type: 'draining', bootId: 'boot-0' }));
    expect(vm(parts)).toEqual(before);
    expect(parts.store.keptReports).toEqual([]);
  });

  it('the VMs are listed by id', () => {
    const parts = createParts();
    for (const vmId of ['b', 'a', 'c']) parts.connect({ vmId });
    expect(parts.fleet.list().map((view) => view.record.vmId)).toEqual(['a', 'b', 'c']);
  });
});

describe('what is stored, and when', () => {
  it('news at once; a heartbeat that brings none once a minute, but its history always', async () => {
    const parts = createParts();
    parts.connect();
    await settled();
    const saves = () => parts.store.vmSaves.length;
    const before = saves();
    for (let second = 15; second < 60; second += 15) {
      parts.clock.advance(15_000);
      beat(parts, { runner: undefined });
    }
    await settled();
    expect(saves()).toBe(before);
    expect(parts.store.keptReports).toHaveLength(3);
    parts.clock.advance(15_000);
    beat(parts, { runner: undefined });
    await settled();
    expect(saves()).toBe(before + 1);
    beat(parts, { runner: undefined, state: 'ready.busy' });
    await settled();
    expect(saves()).toBe(before + 2);
    expect(parts.store.vms.get('vm-1')).toEqual(vm(parts));
  });

  it('a record that cannot be stored is reported, and stays right in memory', async () => {
    const parts = createParts();
    parts.store.failNext(1);
    parts.connect();
    await settled();
    expect(vm(parts)?.state).toBe('ready.idle');
    expect(parts.log.text()).toContain('the record of VM vm-1 could not be stored: disk full');
  });

  it('a heartbeat brings load, runner and job; a job that has ended is no current job', () => {
    const parts = createParts();
    parts.connect();
    const job = {
      jobId: '7',
      runId: '1',
      name: 'b',
      repository: 'r',
      branch: 'm',
      commit: 'c',
      status: 'running',
      startedAt: 0,
    } as const;
    beat(parts, { currentJob: job, stateReason: 'why' });
    expect(vm(parts)).toMatchObject({
      currentJob: job,
      runner: { name: 'vm-1' },
      stateReason: 'why',
      lastHeartbeatAt: parts.clock.now(),
    });
    beat(parts, { currentJob: { ...job, status: 'completed' }, health: undefined });
    expect(vm(parts)).toMatchObject({ currentJob: undefined, health: { cpuUsagePercent: 5 } });
  });
});

describe('what the controller decides of a VM', () => {
  const cordon = { reason: 'disk', by: 'operator', at: 7 };

  it('is durable when it resolves, told, and goes over to the next boot', async () => {
    const parts = createParts();
    parts.connect();
    const release = parts.store.hold();
    let durable = false;
    const decided = parts.fleet.decide('vm-1', { cordon }).then(() => (durable = true));
    await settled();
    expect({ durable, cordon: vm(parts)?.cordon }).toEqual({ durable: false, cordon });
    release();
    await decided;
    expect(parts.store.vms.get('vm-1')?.cordon).toEqual(cordon);
    expect(parts.changes.at(-1)).toMatchObject({ kind: 'vm', vm: { cordon } });
    parts.connect({ bootId: 'boot-2' });
    expect(vm(parts)).toMatchObject({ bootId: 'boot-2', cordon });
  });

  it('that cannot be stored is told to whoever decided; of a VM that is not known nothing is decided', async () => {
    const parts = createParts();
    parts.connect();
    await settled();
    parts.store.failNext(1);
    await expect(parts.fleet.decide('vm-1', { cordon })).rejects.toThrow('disk full');
    await parts.fleet.decide('vm-9', { cordon });
    expect(parts.fleet.get('vm-9')).toBeUndefined();
  });
});

describe('the state', () => {
  it.each([
    ['idle', 'ready.idle'],
    ['job_running', 'ready.busy'],
    ['shutting_down', 'shutdown'],
  ])('a legacy MIGlet that says %s is in %s', (word, state) => {
    const parts = createParts();
    parts.connect({ bootId: '', state: '' });
    expect(vm(parts)?.state).toBe('registering.connecting');
    beat(parts, { state: word }, '');
    expect(vm(parts)?.state).toBe(state);
  });

  it.each(['error', 'constructor', 'toString', '__proto__', 'sleeping'])(
    'a word that means no state (%s) leaves it, and is shown as the reason',
    (word) => {
      const parts = createParts();
      parts.connect({ bootId: '', state: '' });
      beat(parts, { state: word }, '');
      expect(vm(parts)).toMatchObject({
        state: 'registering.connecting',
        stateReason: `the MIGlet reports "${word}"`,
      });
    },
  );

  it('a VM that ended does not come back in the same boot, by heartbeat, event or stream (I6); the rest is still learnt', () => {
    const parts = createParts();
    const link = parts.connect();
    parts.fleet.apply(vmEvent({ type: 'vm_shutting_down', data: { outcome: 'drained' } }));
    parts.disconnect(link);
    parts.clock.advance(1_000);
    beat(parts, { state: 'ready.idle' });
    parts.fleet.apply(vmEvent({ type: 'draining' }));
    parts.connect({ state: 'ready.idle', version: '9' });
    expect(vm(parts)).toMatchObject({
      state: 'shutdown.done',
      outcome: 'drained',
      version: '9',
      lastSeenAt: parts.clock.now(),
    });
    expect(parts.log.text()).toContain('a report was refused: the VM has ended');
  });

  it('a new boot is a new life, of the same age', () => {
    const parts = createParts();
    parts.connect();
    parts.fleet.apply(vmEvent({ type: 'vm_shutting_down', data: { outcome: 'drained' } }));
    const { firstSeenAt } = vm(parts) ?? {};
    parts.clock.advance(MINUTE_MS);
    parts.connect({ bootId: 'boot-2', state: 'registering.connecting' });
    expect(vm(parts)).toMatchObject({
      bootId: 'boot-2',
      state: 'registering.connecting',
      outcome: undefined,
      firstSeenAt,
    });
  });

  it('a legacy MIGlet, which has no boots, lives anew when it connects after its end', () => {
    const parts = createParts();
    const link = parts.connect({ bootId: '', state: '' });
    beat(parts, { state: 'shutting_down' }, '');
    expect(vm(parts)?.outcome).toBe('ended');
    parts.disconnect(link);
    expect(vm(parts)?.state).toBe('shutdown.done');
    parts.connect({ bootId: '', state: '' });
    expect(vm(parts)).toMatchObject({ state: 'registering.connecting', outcome: undefined });
  });
});

describe('the end', () => {
  it('is said by the VM; its first cause is kept, and shutdown.done comes with the end of its stream', () => {
    const parts = createParts();
    const link = parts.connect();
    parts.fleet.apply(vmEvent({ type: 'draining' }));
    expect(vm(parts)?.state).toBe('draining');
    parts.fleet.apply(vmEvent({ type: 'vm_shutting_down', data: { outcome: 'preempted' } }));
    parts.fleet.apply(vmEvent({ type: 'vm_shutting_down', data: { outcome: 'other' } }));
    expect(vm(parts)).toMatchObject({ state: 'shutdown', outcome: 'preempted' });
    parts.disconnect(link);
    expect(vm(parts)).toMatchObject({ state: 'shutdown.done', outcome: 'preempted' });
  });

  it('a stream that ends without it changes no state (the link is no lifecycle)', () => {
    const parts = createParts();
    parts.disconnect(parts.connect());
    expect(vm(parts)).toMatchObject({ state: 'ready.idle', outcome: undefined });
  });

  it('an event does not take a step back from what a heartbeat said', () => {
    const parts = createParts();
    parts.connect();
    beat(parts, { state: 'draining.finishingJob' });
    parts.fleet.apply(vmEvent({ type: 'draining' }));
    expect(vm(parts)?.state).toBe('draining.finishingJob');
  });
});

describe('liveness (I7)', () => {
  const liveness = (parts: Parts) => parts.fleet.get('vm-1')?.liveness;

  it('alive by its heartbeats, suspect after three missed ones or without a stream, lost when silent for long', () => {
    const parts = createParts();
    const link = parts.connect();
    expect(parts.fleet.get('vm-1')).toMatchObject({ link: 'connected', liveness: 'alive' });
    parts.clock.advance(45_000);
    expect(liveness(parts)).toBe('suspect');
    beat(parts);
    expect(liveness(parts)).toBe('alive');
    parts.disconnect(link);
    expect(parts.fleet.get('vm-1')).toMatchObject({ link: 'disconnected', liveness: 'suspect' });
    parts.clock.advance(90_000);
    expect(liveness(parts)).toBe('lost');
  });

  it('a jump of the wall clock makes nobody lost', () => {
    const parts = createParts();
    parts.connect();
    parts.clock.setNow(parts.clock.now() + 10 * 86_400_000);
    expect(liveness(parts)).toBe('alive');
  });

  it('after a restart every VM has a grace period, however long ago it was heard', () => {
    const parts = createParts({ store: createMemoryStore({ vms: [vmRecord({ lastSeenAt: 0 })] }) });
    expect(parts.fleet.get('vm-1')).toMatchObject({ link: 'disconnected', liveness: 'alive' });
    parts.clock.advance(44_999);
    expect(liveness(parts)).toBe('alive');
    parts.clock.advance(1);
    expect(liveness(parts)).toBe('suspect');
    parts.clock.advance(44_999);
    expect(liveness(parts)).toBe('suspect');
    parts.clock.advance(1);
    expect(liveness(parts)).toBe('lost');
  });

  it('one whose heartbeats say that they come less often is given more time, until the next says otherwise', () => {
    const parts = createParts();
    parts.connect();
    beat(parts, {}, 'boot-1', 60_000);
    parts.clock.advance(90_000);
    expect(liveness(parts)).toBe('alive');
    beat(parts);
    parts.clock.advance(90_000);
    expect(liveness(parts)).toBe('lost');
    beat(parts, {}, 'boot-1', 60_000);
    // Another MIGlet: what the earlier one said is nothing to it.
    parts.connect({ bootId: 'boot-2' });
    parts.clock.advance(90_000);
    expect(liveness(parts)).toBe('lost');
  });

  it('one that holds no stream, and reports over HTTP, is alive by its heartbeats', () => {
    const parts = createParts();
    parts.fleet.apply(vmEvent({ type: 'vm_started' }));
    expect(parts.fleet.get('vm-1')).toMatchObject({ link: 'disconnected', liveness: 'alive' });
    parts.disconnect(parts.connect());
    expect(liveness(parts)).toBe('suspect');
    beat(parts);
    expect(liveness(parts)).toBe('alive');
  });

  it('one that has ended by its own word is missed by nobody: neither suspect nor lost, before and after a restart', async () => {
    const parts = createParts();
    const link = parts.connect();
    parts.fleet.apply(vmEvent({ type: 'vm_shutting_down' }));
    parts.disconnect(link);
    parts.clock.advance(3_600_000);
    expect(parts.fleet.get('vm-1')).toMatchObject({ link: 'disconnected', liveness: 'alive' });
    await settled();
    const after = createParts({ store: createMemoryStore({ vms: [...parts.store.vms.values()] }) });
    after.clock.advance(3_600_000);
    expect(liveness(after)).toBe('alive');
  });
});

describe('forgetting (I12)', () => {
  it('a VM that was silent for the retention and has no stream is forgotten, in the store too', async () => {
    const parts = createParts();
    parts.disconnect(parts.connect({ vmId: 'gone' }));
    parts.connect({ vmId: 'still-there' });
    parts.clock.advance(MINUTE_MS);
    expect(await parts.fleet.forgetOld(MINUTE_MS, () => false)).toEqual([]);
    parts.clock.advance(1);
    // One that still has commands to come is kept.
    expect(await parts.fleet.forgetOld(MINUTE_MS, (vmId) => vmId === 'gone')).toEqual([]);
    expect(await parts.fleet.forgetOld(MINUTE_MS, () => false)).toEqual(['gone']);
    expect(parts.fleet.get('gone')).toBeUndefined();
    expect([...parts.store.vms.keys()]).toEqual(['still-there']);
  });

  it('one that is cordoned is not: the cordon holds until it is lifted', async () => {
    const parts = createParts();
    parts.disconnect(parts.connect());
    await parts.fleet.decide('vm-1', { cordon: { reason: '', by: 'operator', at: 0 } });
    parts.clock.advance(2 * MINUTE_MS);
    expect(await parts.fleet.forgetOld(MINUTE_MS, () => false)).toEqual([]);
    await parts.fleet.decide('vm-1', { cordon: undefined });
    expect(await parts.fleet.forgetOld(MINUTE_MS, () => false)).toEqual(['vm-1']);
  });
});
