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
import { statusOf } from './status.js';

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

describe('a VM that waits to be let in', () => {
  it('says for what, until it is', async () => {
    const harness = createHarness();
    expect(statusOf(harness.actor.getSnapshot()).reason).toBe('');
    await harness.answer('announce', retryable('waits until its name is free'));
    expect(statusOf(harness.actor.getSnapshot())).toMatchObject({
      state: 'booting',
      reason: 'waits until its name is free',
    });
    await harness.advance(5_000);
    await harness.answer('announce', ok(undefined));
    expect(statusOf(harness.actor.getSnapshot()).reason).toBe('');
  });
});

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

describe('a controller that ends', () => {
  it('is called again when it said, and the stream is closed at once', async () => {
    const harness = await ROAD.idle();
    await harness.linkTells({ type: 'link.reconnect', afterMs: 7_000 });
    expect([harness.lifecycle(), harness.link(), harness.isLinkOpen()]).toEqual([
      'ready.idle',
      'toldToWait',
      false,
    ]);
    await harness.advance(6_999);
    expect(harness.link()).toBe('toldToWait');
    await harness.advance(1);
    expect([harness.link(), harness.context().linkFailures]).toEqual(['open.connecting', 0]);
  });

  it.each([
    ['for longer than 10 minutes', Number.MAX_SAFE_INTEGER, 600_000],
    ['for less than no time', -1, 0],
  ])('and says to stay away %s is called within bounds', async (_what, afterMs, ms) => {
    const harness = await ROAD.idle();
    await harness.linkTells({ type: 'link.reconnect', afterMs });
    if (ms > 0) await harness.advance(ms - 1);
    expect(harness.link()).toBe('toldToWait');
    await harness.advance(1);
    expect(harness.link()).toBe('open.connecting');
  });

  it('and is then not there is called again as after any failure', async () => {
    const harness = await ROAD.idle();
    await harness.linkTells({ type: 'link.reconnect', afterMs: 0 });
    await harness.advance(0);
    await harness.linkTells(events.down());
    await harness.advance(4_999);
    expect(harness.link()).toBe('backingOff');
    await harness.advance(1);
    expect(harness.link()).toBe('open.connecting');
  });
});

describe('a stream that breaks without a word', () => {
  const broken = async (reconnectWindowMs: number, random = 0.999_999_9): Promise<Harness> => {
    const harness = await ROAD.announced({ random: () => random });
    await harness.linkTells(events.up({ reconnectWindowMs }));
    await harness.advance(LIMITS.minimumUptimeMs);
    await harness.linkTells(events.down());
    return harness;
  };

  it.each([
    [0, 0],
    [0.25, 15_000],
    [0.5, 30_000],
    [0.999_999_9, 60_000],
  ])(
    'is opened again at a random time (%d) in the window that the controller asked for',
    async (random, ms) => {
      const harness = await broken(60_000, random);
      if (ms > 0) {
        await harness.advance(ms - 1);
        expect(harness.link()).toBe('backingOff');
      }
      await harness.advance(1);
      expect(harness.link()).toBe('open.connecting');
    },
  );

  it('is opened again within the configured time if that is longer', async () => {
    const harness = await broken(100);
    await harness.advance(4_999);
    expect(harness.link()).toBe('backingOff');
    await harness.advance(1);
    expect(harness.link()).toBe('open.connecting');
  });

  it('is spread over the window once; failures after it grow as ever', async () => {
    const harness = await broken(60_000);
    await harness.advance(60_000);
    for (const bound of [10_000, 20_000, 30_000]) {
      await harness.linkTells(events.down());
      await harness.advance(bound - 1);
      expect(harness.link()).toBe('backingOff');
      await harness.advance(1);
      expect(harness.link()).toBe('open.connecting');
    }
  });

  it('waits 10 minutes at most, whatever the controller asked for', async () => {
    const harness = await broken(Number.MAX_SAFE_INTEGER);
    await harness.advance(600_000);
    expect(harness.link()).toBe('open.connecting');
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

  it.each([
    ['the settings, if the controller takes more', 4_000, SETTINGS.heartbeatIntervalMs],
    ['what the controller takes, if the settings say more', 40_000, 40_000],
    ['an hour, if the controller takes next to none', Number.MAX_SAFE_INTEGER, 3_600_000],
    ['the settings, if the controller says nonsense', -5, SETTINGS.heartbeatIntervalMs],
  ])('come as often as %s', async (_what, heartbeatIntervalMs, every) => {
    const harness = await ROAD.announced();
    await harness.linkTells(events.up({ heartbeatIntervalMs }));
    await harness.advance(every - 1);
    expect(harness.beatsAt).toEqual([0]);
    await harness.advance(1);
    expect(harness.beatsAt).toEqual([0, every]);
  });

  it('what an operator sets does not exceed what the controller takes', async () => {
    const harness = await ROAD.announced();
    await harness.linkTells(events.up({ heartbeatIntervalMs: 40_000 }));
    await harness.send(events.settings('settings-1', { heartbeatIntervalMs: 7_000 }));
    await harness.advance(39_999);
    expect(harness.beatsAt).toEqual([0, 0]);
    await harness.advance(1);
    expect(harness.beatsAt).toEqual([0, 0, 40_000]);
  });

  it('follow a controller that takes fewer from the next one on', async () => {
    const harness = await ROAD.awaitingCommand({ random: () => 0.9 });
    await harness.advance(1_000);
    await harness.linkTells({ type: 'heartbeat.policy', intervalMs: 60_000 });
    await harness.advance(15_000);
    await harness.advance(60_000);
    expect(harness.beatsAt).toEqual([0, 16_000, 76_000]);
  });

  it('follow one that takes more at a random time within the new interval, so that a fleet does not answer at once', async () => {
    for (const random of [0, 0.25, 0.75]) {
      const harness = await ROAD.announced({ random: () => random });
      await harness.linkTells(events.up({ heartbeatIntervalMs: 600_000 }));
      await harness.advance(1_000);
      await harness.linkTells({ type: 'heartbeat.policy', intervalMs: 20_000 });
      await harness.advance(random * 20_000);
      await harness.advance(20_000);
      expect(harness.beatsAt).toEqual([0, 1_000 + random * 20_000, 21_000 + random * 20_000]);
    }
  });

  it('are not put off without end by a controller that changes its mind all the time', async () => {
    const harness = await ROAD.announced();
    await harness.linkTells(events.up({ heartbeatIntervalMs: 30_000 }));
    for (let second = 1; second <= 30; second += 1) {
      await harness.advance(1_000);
      await harness.linkTells({ type: 'heartbeat.policy', intervalMs: second % 2 === 0 ? 30_000 : 20_000 });
    }
    expect(harness.beatsAt).toEqual([0, 30_000]);
  });

  it('of the last stream are not those of the next: one that asks for nothing gets what is configured', async () => {
    const harness = await ROAD.announced();
    await harness.linkTells(events.up({ heartbeatIntervalMs: 40_000 }));
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
