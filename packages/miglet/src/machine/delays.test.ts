import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { fatal, ok, retryable } from '@mig/common/outcome';
import { initialContext, machine } from './chart.contract.js';
import {
  createHarness,
  deregisterAnswer,
  events,
  inputOf,
  LIMITS,
  ROAD,
  SETTINGS,
  type Harness,
} from './harness.contract.js';
import type { MigletContext } from './types.js';

interface DelayTest {
  readonly claim: string;
  /** Ends in the moment in which the delay begins. */
  readonly begin: () => Promise<Harness>;
  readonly ms: number;
  readonly look: (harness: Harness) => unknown;
  readonly before: unknown;
  readonly after: unknown;
}

async function reconnected(): Promise<Harness> {
  const harness = await ROAD.awaitingCommand();
  await harness.linkTells(events.down());
  await harness.advance(LIMITS.reconnectBackoff.firstMs);
  await harness.linkTells(events.up());
  return harness;
}
async function readyAtTheSecondAttempt(): Promise<Harness> {
  const harness = await ROAD.configuring();
  await harness.answer('configureRunner', retryable('GitHub is away'));
  await harness.advance(LIMITS.registrationBackoff.firstMs);
  await harness.answer('configureRunner', ok(undefined));
  await harness.runnerTells(events.started(), events.listening());
  return harness;
}

const DELAYS: Readonly<Record<string, DelayTest>> = {
  announceBackoff: {
    claim: 'an announcement that failed is repeated',
    begin: async () => {
      const harness = createHarness();
      await harness.answer('announce', retryable('connection refused'));
      return harness;
    },
    ms: LIMITS.announceBackoff.firstMs,
    look: (harness) => [harness.link(), harness.timesAsked('announce')],
    before: ['announcing.waiting', 1],
    after: ['announcing.asking', 2],
  },
  reconnectDelay: {
    claim: 'a stream that was lost is opened again',
    begin: async () => {
      const harness = await ROAD.idle();
      await harness.linkTells(events.down());
      return harness;
    },
    ms: LIMITS.reconnectBackoff.firstMs,
    look: (harness) => [harness.link(), harness.isLinkOpen()],
    before: ['backingOff', false],
    after: ['open.connecting', true],
  },
  toldReconnect: {
    claim: 'a stream that the controller ended is opened again',
    begin: async () => {
      const harness = await ROAD.idle();
      await harness.linkTells({ type: 'link.reconnect', afterMs: 7_000 });
      return harness;
    },
    ms: 7_000,
    look: (harness) => [harness.link(), harness.isLinkOpen()],
    before: ['toldToWait', false],
    after: ['open.connecting', true],
  },
  fenceAfter: {
    claim: 'a VM that has not reached its controller takes no more jobs',
    begin: async () => {
      const harness = await ROAD.idle({ limits: { fenceAfterMs: 600_000 } });
      await harness.linkTells(events.down());
      return harness;
    },
    ms: 600_000,
    look: (harness) => [harness.lifecycle(), harness.emittedTypes().includes('draining')],
    before: ['ready.idle', false],
    after: ['draining.deregistering', true],
  },
  heartbeatSpread: {
    claim: 'a heartbeat goes out earlier than it was due',
    begin: async () => {
      const harness = await ROAD.announced({ random: () => 0.5 });
      await harness.linkTells(events.up({ heartbeatIntervalMs: 600_000 }));
      await harness.linkTells({ type: 'heartbeat.policy', intervalMs: 20_000 });
      return harness;
    },
    ms: 10_000,
    look: (harness) => harness.beatsAt,
    before: [0],
    after: [0, 10_000],
  },
  registrationBackoff: {
    claim: 'a registration that failed is tried again',
    begin: async () => {
      const harness = await ROAD.configuring();
      await harness.answer('configureRunner', retryable('GitHub is away'));
      return harness;
    },
    ms: LIMITS.registrationBackoff.firstMs,
    look: (harness) => harness.lifecycle(),
    before: 'registering.backingOff',
    after: 'registering.configuring',
  },
  minimumUptime: {
    claim: 'a stream that lived resets the count of its failures',
    begin: reconnected,
    ms: LIMITS.minimumUptimeMs,
    look: (harness) => harness.context().linkFailures,
    before: 1,
    after: 0,
  },
  connectTimeout: {
    claim: 'a stream that does not come up is given up',
    begin: () => ROAD.announced(),
    ms: LIMITS.connectTimeoutMs,
    look: (harness) => [harness.link(), harness.isLinkOpen()],
    before: ['open.connecting', true],
    after: ['backingOff', false],
  },
  configureTimeout: {
    claim: 'config.sh that hangs is ended and counted as a failure',
    begin: () => ROAD.configuring(),
    ms: LIMITS.configureTimeoutMs,
    look: (harness) => [harness.lifecycle(), harness.isAsked('configureRunner'), harness.context().note],
    before: ['registering.configuring', true, ''],
    after: ['registering.backingOff', false, 'config.sh did not end in time'],
  },
  startTimeout: {
    claim: 'a runner that does not listen is taken out, and its command is answered',
    begin: () => ROAD.starting(),
    ms: LIMITS.startTimeoutMs,
    look: (harness) => [harness.lifecycle(), harness.settled],
    before: ['registering.starting', []],
    after: [
      'registering.clearing.deregistering',
      [{ id: 'register-1', success: false, message: 'the runner did not listen for jobs in time' }],
    ],
  },
  stableReady: {
    claim: 'a runner that stays ready resets the count of failures',
    begin: readyAtTheSecondAttempt,
    ms: LIMITS.stableReadyMs,
    look: (harness) => [harness.lifecycle(), harness.context().registrationFailures],
    before: ['ready.idle', 1],
    after: ['ready.idle', 0],
  },
  deregisterTimeout: {
    claim: 'a question that is not answered is given up',
    begin: () => ROAD.deregistering(),
    ms: LIMITS.deregisterTimeoutMs,
    look: (harness) => [harness.lifecycle(), harness.isAsked('deregister')],
    before: ['draining.deregistering', true],
    after: ['draining.waitingToAsk', false],
  },
  deregisterRetry: {
    claim: 'GitHub is asked again',
    begin: async () => {
      const harness = await ROAD.deregistering();
      await harness.answer('deregister', deregisterAnswer('unavailable'));
      return harness;
    },
    ms: LIMITS.deregisterRetryMs,
    look: (harness) => [harness.lifecycle(), harness.timesAsked('deregister')],
    before: ['draining.waitingToAsk', 1],
    after: ['draining.deregistering', 2],
  },
  lingerRetry: {
    claim: 'GitHub is asked again whether a job whose process lingers has ended',
    begin: async () => {
      const harness = await ROAD.busy();
      await harness.runnerTells(events.hung('worker_lingers'));
      await harness.answer('deregister', deregisterAnswer('busy'));
      return harness;
    },
    ms: LIMITS.lingerRetryMs,
    look: (harness) => [harness.lifecycle(), harness.timesAsked('deregister')],
    before: ['registering.clearing.lingering', 1],
    after: ['registering.clearing.deregistering', 2],
  },
  stopGrace: {
    claim: 'a runner that was asked to end and does not is killed',
    begin: () => ROAD.stoppingRunner(),
    ms: LIMITS.stopGraceMs,
    look: (harness) => harness.requests,
    before: ['start', 'stop'],
    after: ['start', 'stop', 'kill'],
  },
  flushTimeout: {
    claim: 'a shutdown does not wait for the controller without end',
    begin: () => ROAD.flushing(),
    ms: LIMITS.flushTimeoutMs,
    look: (harness) => [harness.lifecycle(), harness.output()?.outcome],
    before: ['shutdown.flushing', undefined],
    after: ['ended', 'drained'],
  },
  heartbeatInterval: {
    claim: 'the next heartbeat goes out',
    begin: () => ROAD.awaitingCommand(),
    ms: SETTINGS.heartbeatIntervalMs,
    look: (harness) => harness.beatsAt,
    before: [0],
    after: [0, SETTINGS.heartbeatIntervalMs],
  },
  drainDeadline: {
    claim: 'a job that outlives the deadline of its drain is ended (I5)',
    begin: async () => {
      const harness = await ROAD.busy();
      await harness.send(events.drain('drain-1', { deadlineMs: 500_000 }));
      await harness.answer('deregister', deregisterAnswer('busy'));
      return harness;
    },
    ms: 500_000,
    look: (harness) => [harness.lifecycle(), harness.requests],
    before: ['draining.finishingJob', ['start']],
    after: ['draining.stoppingRunner', ['start', 'stop']],
  },
};

describe('delays', () => {
  it('each that the machine names has a test', () => {
    expect(Object.keys(DELAYS).sort()).toEqual(Object.keys(machine.implementations.delays).sort());
  });

  it.each(Object.entries(DELAYS).map(([name, delay]) => [name, delay.claim, delay] as const))(
    'at the end of %s, and not before, %s',
    async (_name, _claim, { begin, ms, look, before, after }) => {
      const harness = await begin();
      await harness.advance(ms - 1);
      expect(look(harness)).toEqual(before);
      await harness.advance(1);
      expect(look(harness)).toEqual(after);
    },
  );

  it('a deadline of 0 never ends a job', async () => {
    const harness = await ROAD.busy();
    await harness.send(events.drain('drain-1', { deadlineMs: 0 }));
    await harness.answer('deregister', deregisterAnswer('busy'));
    await harness.advance(365 * 86_400_000);
    expect([harness.lifecycle(), harness.requests]).toEqual(['draining.finishingJob', ['start']]);
  });
});

describe('backoff', () => {
  type Backoff = 'announceBackoff' | 'reconnectDelay' | 'registrationBackoff';
  const CASES = [
    ['announceBackoff', 'announceFailures', 'announceBackoff'],
    ['reconnectDelay', 'linkFailures', 'reconnectBackoff'],
    ['registrationBackoff', 'registrationFailures', 'registrationBackoff'],
  ] as const;
  const delayOf = (name: Backoff, context: Partial<MigletContext>): number => {
    const delay = machine.implementations.delays[name] as unknown as (args: {
      context: MigletContext;
    }) => number;
    return delay({ context: { ...initialContext, ...context } });
  };

  it.each(CASES)('%s is anything from 0 to a bound that doubles up to its maximum', (name, count, limit) => {
    const { firstMs, maxMs } = LIMITS[limit];
    const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(unit, fc.integer({ min: 1, max: 2_000 }), (random, failures) => {
        const bound = Math.min(maxMs, firstMs * 2 ** (failures - 1));
        expect(delayOf(name, { [count]: failures, random: () => random })).toBe(Math.round(random * bound));
      }),
      { seed: 20260701, numRuns: 200 },
    );
  });

  it('a controller that stays away is called after at most 5, 10, 20, 30 and 30 seconds', async () => {
    const harness = await ROAD.idle();
    await harness.linkTells(events.down());
    for (const bound of [5_000, 10_000, 20_000, 30_000, 30_000]) {
      await harness.advance(bound - 1);
      expect(harness.link()).toBe('backingOff');
      await harness.advance(1);
      expect(harness.link()).toBe('open.connecting');
      await harness.linkTells(events.down());
    }
  });

  it('a fleet that lost its controller at once does not come back at once', async () => {
    for (const [random, ms] of [
      [0, 0],
      [0.25, 1_250],
      [0.5, 2_500],
    ] as const) {
      const harness = await ROAD.idle({ random: () => random });
      await harness.linkTells(events.down());
      await harness.advance(ms);
      expect(harness.link()).toBe('open.connecting');
    }
  });

  it('a stream that ends before its minimum uptime does not reset the wait, one that lived does', async () => {
    const harness = await reconnected();
    await harness.advance(LIMITS.minimumUptimeMs - 1);
    await harness.linkTells(events.down());
    await harness.advance(5_000);
    expect(harness.link()).toBe('backingOff');
    await harness.advance(5_000);
    await harness.linkTells(events.up());
    await harness.advance(LIMITS.minimumUptimeMs);
    await harness.linkTells(events.down());
    await harness.advance(5_000);
    expect(harness.link()).toBe('open.connecting');
  });

  it('an announcement that was acknowledged begins its waits anew', async () => {
    const harness = createHarness();
    for (const bound of [5_000, 10_000]) {
      await harness.answer('announce', retryable('connection refused'));
      await harness.advance(bound);
    }
    await harness.answer('announce', ok(undefined));
    expect(harness.context().announceFailures).toBe(0);
    await harness.linkTells(events.up({ announceAgain: true }));
    await harness.advance(5_000);
    await harness.answer('announce', fatal('not known'));
    await harness.advance(10_000);
    expect(harness.link()).toBe('announcing.asking');
  });

  it('is made of nothing but the input: a machine that is given the same numbers waits the same', () => {
    const { random } = inputOf({ random: () => 0.5 });
    expect(delayOf('reconnectDelay', { linkFailures: 3, random })).toBe(10_000);
  });
});
