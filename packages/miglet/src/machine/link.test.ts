import { describe, expect, it } from '@jest/globals';
import { fatal, ok, retryable } from '@mig/common/outcome';
import {
  createHarness,
  deregisterAnswer,
  events,
  LIMITS,
  ROAD,
  SETTINGS,
  type Harness,
} from './harness.contract.js';

const PHASES: Readonly<Record<string, () => Promise<Harness>>> = {
  'registering.awaitingCommand': ROAD.awaitingCommand,
  'registering.configuring': ROAD.configuring,
  'registering.starting': ROAD.starting,
  'registering.backingOff': async () => {
    const harness = await ROAD.configuring();
    await harness.answer('configureRunner', retryable('GitHub is away'));
    return harness;
  },
  'ready.idle': ROAD.idle,
  'ready.busy': ROAD.busy,
  'draining.deregistering': ROAD.deregistering,
  'draining.waitingToAsk': async () => {
    const harness = await ROAD.deregistering();
    await harness.answer('deregister', deregisterAnswer('unavailable'));
    return harness;
  },
  'draining.finishingJob': async () => {
    const harness = await ROAD.busy();
    await harness.send(events.drain('drain-1'));
    await harness.answer('deregister', deregisterAnswer('busy'));
    return harness;
  },
  'draining.stoppingRunner': ROAD.stoppingRunner,
  'draining.drained': ROAD.drained,
  'shutdown.flushing': ROAD.flushing,
};

describe('link lost', () => {
  it.each(Object.entries(PHASES))(
    'in %s leaves the lifecycle as it is, and ends no runner',
    async (phase, begin) => {
      const harness = await begin();
      expect(harness.lifecycle()).toBe(phase);
      const { requests, settled, emitted } = structuredClone({
        requests: harness.requests,
        settled: harness.settled,
        emitted: harness.emitted,
      });
      await harness.linkTells(events.down());
      expect([harness.lifecycle(), harness.link()]).toEqual([phase, 'backingOff']);
      expect({ requests: harness.requests, settled: harness.settled, emitted: harness.emitted }).toEqual({
        requests,
        settled,
        emitted,
      });
    },
  );

  it('a VM that works on while its controller is away loses none of what happens', async () => {
    const harness = await ROAD.idle();
    await harness.linkTells(events.down());
    await harness.runnerTells(events.jobStarted(), events.jobFinished());
    expect(harness.lifecycle()).toBe('ready.idle');
    expect(harness.emittedTypes()).toEqual(['runner_registered', 'job_started', 'job_completed']);
  });

  it('a stream that cannot even be opened is tried again', async () => {
    const harness = await ROAD.announced({ brokenLink: true });
    expect([harness.link(), harness.failure()]).toEqual(['backingOff', undefined]);
    await harness.advance(5_000);
    expect(harness.timesAsked('link')).toBe(2);
  });

  it('is one stream at a time: the old one is closed before another is opened (I11)', async () => {
    const harness = await ROAD.awaitingCommand();
    await harness.linkTells(events.down());
    expect(harness.isLinkOpen()).toBe(false);
    await harness.advance(5_000);
    expect([harness.isLinkOpen(), harness.timesAsked('link')]).toEqual([true, 2]);
  });
});

describe('a controller that does not know the boot', () => {
  it('is announced to again after a wait, by the same boot, without a change of the lifecycle', async () => {
    const harness = await ROAD.busy();
    await harness.linkTells(events.down());
    await harness.advance(5_000);
    await harness.linkTells(events.up({ announceAgain: true }));
    expect([harness.lifecycle(), harness.link(), harness.isLinkOpen()]).toEqual([
      'ready.busy',
      'announcing.waiting',
      false,
    ]);
    await harness.advance(5_000);
    await harness.answer('announce', ok(undefined));
    await harness.linkTells(events.up());
    expect([harness.lifecycle(), harness.link()]).toEqual(['ready.busy', 'open.online']);
  });

  it('and refuses it: the VM goes on with its job, and asks again', async () => {
    const harness = await ROAD.busy();
    await harness.linkTells(events.down());
    await harness.advance(5_000);
    await harness.linkTells(events.up({ announceAgain: true }));
    await harness.advance(5_000);
    await harness.answer('announce', fatal('not known'));
    expect([harness.lifecycle(), harness.link()]).toEqual(['ready.busy', 'announcing.refused']);
    await harness.advance(10_000);
    expect(harness.link()).toBe('announcing.asking');
  });
});

describe('heartbeats', () => {
  it('begin when the stream is up, and go on at the interval', async () => {
    const harness = await ROAD.awaitingCommand();
    for (let beat = 0; beat < 3; beat += 1) await harness.advance(SETTINGS.heartbeatIntervalMs);
    expect(harness.beatsAt).toEqual([0, 1, 2, 3].map((n) => n * SETTINGS.heartbeatIntervalMs));
  });

  it('stop while the stream is down', async () => {
    const harness = await ROAD.awaitingCommand();
    await harness.linkTells(events.down());
    await harness.advance(4_999);
    await harness.send({ type: 'heartbeat.due' });
    expect([harness.beatsAt, harness.dropped]).toEqual([[0], []]);
  });

  it('are one at a time: a beat that comes early puts the next one off', async () => {
    const harness = await ROAD.awaitingCommand();
    await harness.advance(10_000);
    await harness.send({ type: 'heartbeat.due' });
    await harness.advance(SETTINGS.heartbeatIntervalMs - 1);
    expect(harness.beatsAt).toEqual([0, 10_000]);
    await harness.advance(1);
    expect(harness.beatsAt).toHaveLength(3);
  });

  it('change their interval at once with the settings, and the command is answered', async () => {
    const harness = await ROAD.idle();
    await harness.advance(1_000);
    await harness.send(events.settings('settings-1', { heartbeatIntervalMs: 2_000 }));
    await harness.advance(2_000);
    await harness.advance(2_000);
    expect(harness.beatsAt).toEqual([0, 1_000, 3_000, 5_000]);
    expect(harness.resultsOf('settings-1')).toEqual([
      { id: 'settings-1', success: true, message: 'the settings are changed' },
    ]);
  });

  it('come as often as the controller of the stream asks for, but not more often than every second', async () => {
    const harness = await ROAD.announced();
    await harness.linkTells(events.up({ heartbeatIntervalMs: 4_000 }));
    await harness.advance(4_000);
    expect(harness.beatsAt).toEqual([0, 4_000]);
    await harness.linkTells(events.down());
    await harness.advance(LIMITS.reconnectBackoff.firstMs);
    await harness.linkTells(events.up({ heartbeatIntervalMs: 1 }));
    await harness.advance(999);
    expect(harness.beatsAt).toHaveLength(3);
    await harness.advance(1);
    expect(harness.beatsAt).toHaveLength(4);
  });

  it('come as an operator sets them, whatever the controller of the stream asked for', async () => {
    const harness = await ROAD.announced();
    await harness.linkTells(events.up({ heartbeatIntervalMs: 4_000 }));
    await harness.send(events.settings('settings-1', { heartbeatIntervalMs: 7_000 }));
    await harness.advance(6_999);
    expect(harness.beatsAt).toEqual([0, 0]);
    await harness.advance(1);
    expect(harness.beatsAt).toEqual([0, 0, 7_000]);
    await harness.send(events.settings('settings-2', { drainDeadlineMs: 1 }));
    await harness.advance(7_000);
    expect(harness.beatsAt).toEqual([0, 0, 7_000, 7_000, 14_000]);
  });

  it('of the last stream are not those of the next: one that asks for nothing gets what is configured', async () => {
    const harness = await ROAD.announced();
    await harness.linkTells(events.up({ heartbeatIntervalMs: 4_000 }));
    await harness.linkTells(events.down());
    await harness.advance(LIMITS.reconnectBackoff.firstMs);
    await harness.linkTells(events.up());
    await harness.advance(SETTINGS.heartbeatIntervalMs - 1);
    expect(harness.beatsAt).toEqual([0, 5_000]);
    await harness.advance(1);
    expect(harness.beatsAt).toHaveLength(3);
  });

  it('the settings of a VM that is not connected are changed too', async () => {
    const harness = createHarness();
    await harness.send(events.settings('settings-1', { labels: ['gpu'] }));
    expect(harness.context().settings.labels).toEqual(['gpu']);
    expect(harness.resultsOf('settings-1')).toHaveLength(1);
  });
});
