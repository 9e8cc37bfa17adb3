/** Who may be given jobs at GitHub: cordons, drains and their races, GitHub away, restarts of the controller. */
import { describe, expect, it } from '@jest/globals';
import { ok, retryable, type Outcome } from '@mig/common/outcome';
import { createParts, settled } from '../parts.contract.js';
import { createMemoryStore, type MemoryStore } from '../store/memory-store.contract.js';
import { vmEvent, vmReport } from '../store/samples.contract.js';
import { createRunnerFence, type RunnerLabels } from './runner-fence.js';

const RUNNER = 'vm-1-boot1';
const CORDON = { reason: '', by: 'operator', at: 0 };

/** GitHub as a script: what was done there, and what it answers. */
interface ScriptedGitHub extends RunnerLabels {
  /** `fence`, `free`, `delete`, `refused`, in their order. */
  readonly done: string[];
  asked: number;
  away: Outcome<never> | undefined;
  known: boolean;
  jobRuns: boolean;
  /** Answers wait until the returned function is called. */
  hold(): () => void;
}

function createGitHub(): ScriptedGitHub {
  let gate: Promise<void> = Promise.resolve();
  const github: ScriptedGitHub = {
    done: [],
    asked: 0,
    away: undefined,
    known: true,
    jobRuns: false,
    hold() {
      let release = () => {};
      gate = new Promise((resolve) => (release = resolve));
      return release;
    },
    async setEligible(_, __, eligible) {
      github.asked += 1;
      await gate;
      if (github.away !== undefined) return github.away;
      if (!github.known) return ok('noRunner');
      github.done.push(eligible ? 'free' : 'fence');
      return ok('set');
    },
    async remove(_, name, beforeFence) {
      await gate;
      if (!github.jobRuns) {
        github.done.push('delete');
        return { outcome: 'deleted', message: name };
      }
      await beforeFence();
      github.done.push('refused');
      return { outcome: 'busy', message: name };
    },
  };
  return github;
}

function createWorld(options: { store?: MemoryStore; managesRunners?: boolean } = {}) {
  const parts = createParts(options.store === undefined ? {} : { store: options.store });
  const { fleet, feed, clock, log } = parts;
  const github = createGitHub();
  const draining = new Set<string>();
  const fence = createRunnerFence({
    fleet,
    labels: github,
    clock,
    logger: log.logger,
    random: () => 1,
    drainIdOf: (vmId) => (draining.has(vmId) ? 'drain-1' : undefined),
    managesRunners: options.managesRunners ?? true,
  });
  feed.subscribe((change) => fence.onChange(change));
  const vm = () => {
    const view = fleet.get('vm-1');
    if (view === undefined) throw new Error('vm-1 is not known');
    return view.record;
  };
  const beat = (state: string, name: string | null = RUNNER) =>
    fleet.heartbeat({
      vmId: 'vm-1',
      poolId: 'pool-a',
      orgId: 'acme',
      bootId: 'boot-1',
      at: 0,
      intervalMs: 0,
      report: vmReport({
        state,
        runner: { state: 'idle', configured: name !== null, name: name ?? '', labels: ['gpu'] },
      }),
    });
  return {
    ...parts,
    github,
    fence,
    draining,
    vm,
    beat,
    async pass(seconds: number) {
      for (let n = 0; n < seconds; n += 1) {
        clock.advance(1_000);
        fence.sweep();
        await settled();
      }
    },
    async cordon(on: boolean) {
      await fleet.decide('vm-1', { cordon: on ? CORDON : undefined });
      fence.look('vm-1');
      await settled();
    },
    /** The event of a runner that has registered, as the log tells it. */
    registered: () =>
      feed.publish({
        kind: 'event',
        event: { ...vmEvent({ type: 'runner_registered' }), id: '1', receivedAt: 0, via: 'grpc' },
      }),
  };
}

async function createReady() {
  const world = createWorld();
  world.connect();
  world.beat('ready.idle');
  await settled();
  return world;
}

describe('a cordon', () => {
  it('fences the runner once; lifted, gives it its labels again', async () => {
    const world = await createReady();
    await world.cordon(true);
    await world.pass(100);
    expect(world.github.done).toEqual(['fence']);
    expect(world.store.vms.get('vm-1')?.fencedRunner).toBe(RUNNER);
    await world.cordon(false);
    await world.pass(100);
    expect(world.github.done).toEqual(['fence', 'free']);
    expect(world.store.vms.get('vm-1')?.fencedRunner).toBeUndefined();
  });

  it('says that it will fence before it does, so that a crash leaves no runner without labels for ever', async () => {
    const world = await createReady();
    const release = world.github.hold();
    await world.cordon(true);
    expect(world.github.asked).toBe(1);
    expect(world.store.vms.get('vm-1')?.fencedRunner).toBe(RUNNER);
    release();
  });

  it('is brought about when GitHub is back, asked again less and less often', async () => {
    const world = await createReady();
    world.github.away = retryable('GitHub answered 502');
    await world.cordon(true);
    await world.pass(300);
    expect(world.github.done).toEqual([]);
    expect(world.github.asked).toBeGreaterThan(5);
    expect(world.github.asked).toBeLessThan(15);
    world.github.away = undefined;
    await world.pass(61);
    expect(world.github.done).toEqual(['fence']);
  });

  it('asks nothing of GitHub, for no VM, before the time that GitHub asks for', async () => {
    const world = await createReady();
    world.github.away = retryable('GitHub answered 429', 120_000);
    await world.cordon(true);
    world.github.away = undefined;
    await world.cordon(false);
    await world.cordon(true);
    await world.pass(119);
    expect(world.github.asked).toBe(1);
    await world.pass(2);
    expect(world.github.done).toEqual(['fence']);
  });

  it('waits for a runner that registers just now to appear, and fences one that registers later', async () => {
    const world = await createReady();
    world.github.known = false;
    await world.cordon(true);
    await world.pass(5);
    world.github.known = true;
    await world.pass(10);
    expect(world.github.done).toEqual(['fence']);
    world.registered();
    await world.pass(1);
    expect(world.github.done).toEqual(['fence', 'fence']);
    world.beat('ready.idle', 'another-name');
    await world.pass(1);
    expect(world.github.done).toEqual(['fence', 'fence', 'fence']);
  });

  it('of a runner that was registered while it was being fenced fences it again', async () => {
    const world = await createReady();
    const release = world.github.hold();
    await world.cordon(true);
    world.registered();
    release();
    await settled();
    await world.pass(1);
    expect(world.github.done).toEqual(['fence', 'fence']);
  });

  it('of a VM without a runner, or that has ended, does nothing at GitHub', async () => {
    const world = createWorld();
    world.connect();
    await world.cordon(true);
    world.beat('registering.awaitingCommand', null);
    await world.pass(5);
    world.beat('shutdown');
    await world.pass(5);
    expect(world.github.asked).toBe(0);
  });

  it('without a GitHub does nothing there', async () => {
    const world = createWorld({ managesRunners: false });
    world.connect();
    world.beat('ready.idle');
    await world.cordon(true);
    await world.pass(5);
    expect(world.github.asked).toBe(0);
  });

  it('that is lifted while the runner is being fenced ends with its labels; set again, without', async () => {
    const world = await createReady();
    const release = world.github.hold();
    await world.cordon(true);
    await world.cordon(false);
    release();
    await world.pass(1);
    expect(world.github.done).toEqual(['fence', 'free']);
    const releaseFree = world.github.hold();
    await world.cordon(true);
    await world.cordon(false);
    await world.cordon(true);
    releaseFree();
    await world.pass(2);
    expect(world.github.done.at(-1)).toBe('fence');
    expect(world.vm().fencedRunner).toBe(RUNNER);
  });
});

describe('a drain', () => {
  it('in progress stays fenced when its VM is uncordoned; undrained, the VM has its labels again', async () => {
    const world = await createReady();
    await world.cordon(true);
    world.github.jobRuns = true;
    world.draining.add('vm-1');
    await world.fence.remove(world.vm(), RUNNER);
    world.beat('draining.finishingJob');
    await world.cordon(false);
    await world.pass(30);
    expect(world.github.done).toEqual(['fence', 'refused']);
    // The MIGlet is back in service before the drain's own record says so.
    world.beat('ready.busy');
    await world.pass(30);
    expect(world.github.done).toEqual(['fence', 'refused']);
    world.draining.clear();
    await world.pass(1);
    expect(world.github.done).toEqual(['fence', 'refused', 'free']);
  });

  it('that no drain object stands for stays fenced too, also while the record still says ready', async () => {
    const world = await createReady();
    await world.cordon(true);
    world.github.jobRuns = true;
    const removed = world.fence.remove(world.vm(), RUNNER);
    await world.cordon(false);
    expect(await removed).toMatchObject({ outcome: 'busy' });
    await world.pass(30);
    expect(world.github.done).toEqual(['fence', 'refused']);
    world.beat('draining.finishingJob');
    await world.pass(5);
    world.beat('ready.busy');
    await world.pass(1);
    expect(world.github.done).toEqual(['fence', 'refused', 'free']);
  });

  it('that was never cordoned: its fence is taken back when it is undrained', async () => {
    const world = await createReady();
    world.github.jobRuns = true;
    await world.fence.remove(world.vm(), RUNNER);
    expect(world.store.vms.get('vm-1')?.fencedRunner).toBe(RUNNER);
    world.beat('draining.finishingJob');
    world.beat('ready.busy');
    await world.pass(1);
    expect(world.github.done).toEqual(['refused', 'free']);
  });

  it('and a cordon of the same VM never do two things at GitHub at a time', async () => {
    const world = await createReady();
    const release = world.github.hold();
    await world.cordon(true);
    const removed = world.fence.remove(world.vm(), RUNNER);
    await settled();
    expect(world.github.done).toEqual([]);
    release();
    await removed;
    expect(world.github.done).toEqual(['fence', 'delete']);
    expect(world.vm().fencedRunner).toBeUndefined();
  });

  it('goes on when what it does cannot be written down', async () => {
    const world = await createReady();
    world.github.jobRuns = true;
    world.store.failNext(1);
    expect(await world.fence.remove(world.vm(), RUNNER)).toMatchObject({ outcome: 'busy' });
  });
});

describe('a restart of the controller', () => {
  const restart = (store: MemoryStore) =>
    createWorld({ store: createMemoryStore({ vms: [...store.vms.values()] }) });

  it('fences what is cordoned again', async () => {
    const before = await createReady();
    await before.cordon(true);
    const after = restart(before.store);
    await after.pass(1);
    expect(after.github.done).toEqual(['fence']);
  });

  it('gives back the labels of a VM that was uncordoned before, when the VM says that it is in service', async () => {
    const before = await createReady();
    await before.cordon(true);
    before.github.away = retryable('GitHub answered 502');
    await before.cordon(false);
    const after = restart(before.store);
    await after.pass(10);
    expect(after.github.done).toEqual([]);
    after.connect({ state: 'ready.idle' });
    await after.pass(1);
    expect(after.github.done).toEqual(['free']);
  });

  it('gives none to a VM that drains', async () => {
    const before = await createReady();
    before.github.jobRuns = true;
    await before.fence.remove(before.vm(), RUNNER);
    const after = restart(before.store);
    after.connect({ state: 'draining.finishingJob' });
    await after.pass(10);
    expect(after.github.done).toEqual([]);
    // Registered anew under another name, the old fence means nothing.
    after.beat('ready.idle', 'another-name');
    await after.pass(2);
    expect(after.github.done).toEqual([]);
    expect(after.vm().fencedRunner).toBeUndefined();
  });
});

describe('many cordoned VMs', () => {
  it('are brought about a few at a time (I12), all of them', async () => {
    const world = createWorld();
    for (let n = 0; n < 20; n += 1) {
      const vmId = `vm-${n}`;
      world.connect({ vmId });
      world.fleet.heartbeat({
        vmId,
        poolId: 'pool-a',
        orgId: 'acme',
        bootId: 'boot-1',
        at: 0,
        intervalMs: 0,
        report: vmReport({ runner: { state: 'idle', configured: true, name: vmId, labels: [] } }),
      });
    }
    await settled();
    const release = world.github.hold();
    for (let n = 0; n < 20; n += 1) {
      await world.fleet.decide(`vm-${n}`, { cordon: CORDON });
      world.fence.look(`vm-${n}`);
    }
    await settled();
    expect(world.github.asked).toBe(4);
    release();
    for (let n = 0; n < 20; n += 1) await settled();
    expect(world.github.done).toHaveLength(20);
  });

  it('are left alone after the end', async () => {
    const world = await createReady();
    world.fence.stop();
    await world.cordon(true);
    await world.pass(5);
    expect(world.github.asked).toBe(0);
  });
});
