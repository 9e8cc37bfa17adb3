import { describe, expect, it } from '@jest/globals';
import { job, registration, RUNNER } from './harness.contract.js';
import { step, type Place } from './chart.contract.js';
import {
  EVENT_TYPES,
  expectRow,
  restingLeaves,
  sampleOf,
  stays,
  transientLeaves,
  type Cells,
  type Row,
} from './table.contract.js';
import type { MigletContext } from './types.js';

const BASE: Place = { lifecycle: '', link: 'open.connecting', runner: 'none' };
const ONLINE = { link: 'open.online' };

const PENDING = registration('register-0');
const REGISTERED = { runner: RUNNER } satisfies Partial<MigletContext>;
const IDLE = { runner: RUNNER, processAlive: true } satisfies Partial<MigletContext>;
const BUSY = { ...IDLE, job: job() } satisfies Partial<MigletContext>;
const DRAIN = {
  drain: { reason: 'maintenance', deadlinesMs: [], commandIds: [] },
} satisfies Partial<MigletContext>;
const DOWN = {
  ...DRAIN,
  ending: { outcome: 'drained', reason: 'SIGTERM', poweroff: false },
} satisfies Partial<MigletContext>;

/** Nothing of this moves a lifecycle that does not wait for it. */
const LINK_NEWS = stays(
  'announced',
  'announce.refused',
  'link.up',
  'link.up announceAgain',
  'link.down',
  'link.reconnect',
  'link.missed',
  'heartbeat.due',
  'heartbeat.policy',
);
const RUNNER_NEWS = stays(
  'runner.started',
  'runner.listening',
  'job.started',
  'job.finished',
  'runner.exited',
  'runner.exited 0',
  'runner.exited gone',
  'runner.exited never',
  'runner.exited spent',
  'job.described',
  'runner.hung',
  'runner.hung worker_lingers',
  'runner.disconnected',
  'runner.reconnected',
  'runner.updating',
  'runner.restarting',
);
/** What the runner's region makes of it, where its process lives, whatever the lifecycle does. */
const ALIVE_NEWS: Cells = {
  'runner.hung': '= | emit runner_hung, runner kill',
  'runner.hung worker_lingers': '= | emit runner_hung',
  'runner.disconnected': '= | emit runner_disconnected',
  'runner.reconnected': '= | emit runner_reconnected',
  'runner.updating': '= | emit runner_updating',
  'runner.restarting': '= | emit runner_crashed',
};
/** A process that ends here leads there, however it ended. */
const endings = (target: string): Cells => ({
  'runner.exited': `${target} | emit runner_crashed`,
  'runner.exited 0': `${target} | emit runner_exited`,
  'runner.exited gone': `${target} | emit runner_exited`,
  'runner.exited never': `${target} | emit runner_crashed`,
  'runner.exited spent': `${target} | emit runner_crashed`,
});
const EVERYWHERE: Cells = { 'settings.update': '= | settle settings ok', ...stays('lifecycle.ended') };
const NO_DEADLINE = stays('drain.deadlineReached', 'stop.graceEnded');
/** There is nothing to take back. */
const NOT_DRAINING: Cells = { 'undrain.request': '= | settle undrain ok' };
const TAKES_BACK = 'forget drained, settle undrain ok';

const ENTERS = 'emit draining, remember drained';
const ENDS = 'remember ended, emit vm_shutting_down, settle shutdown ok';

/** A VM that may be given a job drains itself as if it had been told to; one that is on its way out has nothing to do. */
const fences = (calm: string): Cells => (calm.includes(ENTERS) ? { 'link.missed': calm } : {});
/** A drain and a shutdown where the runner must be asked about, or stopped, first. */
const orders = (calm: string, forced: string): Cells => ({
  'drain.request': calm,
  'shutdown.request': calm,
  ...fences(calm),
  'drain.request force': forced,
  'shutdown.request force': forced,
});
/** A drain and a shutdown where there is no runner. @param before what is done first */
const noRunner = (before = ''): Cells => {
  const drain = `draining.drained | ${before}${ENTERS}, settle drain ok`;
  const shutdown = `shutdown.flushing | ${before}${ENTERS}, ${ENDS}`;
  return {
    'drain.request': drain,
    'drain.request force': drain,
    'shutdown.request': shutdown,
    'shutdown.request force': shutdown,
  };
};

/** The states of taking a runner out of service: the same for a drain and for what an earlier MIGlet left. */
function retiring(parent: 'registering.clearing' | 'draining'): Row[] {
  const draining = parent === 'draining';
  const given = (context: Partial<MigletContext>) => (draining ? { ...DRAIN, ...context } : context);
  const done = draining ? 'draining.drained' : 'registering.connecting';
  const enters = draining ? '' : ` | ${ENTERS}`;
  const cuts = draining
    ? 'draining.stoppingRunner | runner stop'
    : `draining.stoppingRunner | ${ENTERS}, runner stop`;
  /** It is told to end once. */
  const endsAlready = draining ? 'draining.stoppingRunner' : `draining.stoppingRunner | ${ENTERS}`;
  const same = (leaf: string, cell: string) =>
    cell.startsWith(`${parent}.${leaf}`) ? cell.replace(`${parent}.${leaf}`, '=') : cell;
  const always = (leaf: string, asked: string): Cells => ({
    ...EVERYWHERE,
    ...LINK_NEWS,
    ...RUNNER_NEWS,
    ...ALIVE_NEWS,
    ...orders(same(leaf, asked), same(leaf, cuts)),
    'register.request': draining ? '= | settle register failed' : '=',
    'register.request replace': draining ? '= | settle register failed' : '=',
    'drain.deadlineReached': draining ? same(leaf, cuts) : '=',
    'stop.graceEnded': '=',
    // What it had begun is cleared away as what an earlier MIGlet left.
    'undrain.request': draining
      ? `registering.clearing.${leaf === 'stoppingRunner' ? leaf : 'deregistering'} | ${TAKES_BACK}`
      : '= | settle undrain ok',
  });
  const asks = `draining.deregistering${enters}`;
  const refused = `${parent}.waitingToAsk`;
  return [
    {
      leaf: `${parent}.deregistering`,
      at: { runner: 'alive.idle' },
      given: given(IDLE),
      cells: {
        ...always('deregistering', asks),
        'job.started': '= | emit job_started',
        ...endings('='),
        'done deregister: deleted': `${parent}.stoppingRunner | runner stop`,
        'done deregister: notManaged': `${parent}.stoppingRunner | runner stop`,
        'done deregister: busy': refused,
        'done deregister: unavailable': refused,
        'error deregister': refused,
        'after deregisterTimeout': refused,
      },
    },
    {
      leaf: `${parent}.deregistering`,
      when: 'a job runs',
      at: { runner: 'alive.busy' },
      given: given(BUSY),
      cells: {
        'job.finished': '= | emit job_completed',
        'done deregister: deleted': `${parent}.finishingJob`,
        'done deregister: notManaged': `${parent}.finishingJob`,
        'done deregister: busy': `${parent}.finishingJob`,
        'done deregister: unavailable': `${parent}.finishingJob`,
        'error deregister': `${parent}.finishingJob`,
        'after deregisterTimeout': `${parent}.finishingJob`,
      },
    },
    {
      leaf: `${parent}.deregistering`,
      when: 'the process has ended and GitHub cannot be asked for the last time',
      given: given({ ...REGISTERED, deregisterFailures: 2 }),
      cells: {
        'done deregister: deleted': done,
        'done deregister: unavailable': refused,
        'after deregisterTimeout': refused,
      },
    },
    {
      leaf: `${parent}.waitingToAsk`,
      at: { runner: 'alive.idle' },
      given: given(IDLE),
      cells: {
        ...always('waitingToAsk', asks),
        'link.up': `${parent}.deregistering`,
        'link.up announceAgain': `${parent}.deregistering`,
        'job.started': `${parent}.deregistering | emit job_started`,
        ...endings(`${parent}.deregistering`),
        'after deregisterRetry': `${parent}.deregistering`,
      },
    },
    {
      leaf: `${parent}.waitingToAsk`,
      when: 'the process has ended and GitHub could not be asked often enough',
      given: given({ ...REGISTERED, deregisterFailures: draining ? 3 : 4 }),
      cells: {
        'after deregisterRetry': done,
        'link.up': draining ? done : 'registering.awaitingCommand',
      },
    },
    {
      leaf: `${parent}.finishingJob`,
      at: { runner: 'alive.busy' },
      given: given(BUSY),
      cells: {
        ...always('finishingJob', asks),
        'link.up': `${parent}.deregistering`,
        'link.up announceAgain': `${parent}.deregistering`,
        'job.started': '= | emit job_started',
        'job.finished': `${parent}.deregistering | emit job_completed`,
        'runner.hung': `${parent}.deregistering | emit runner_hung, runner kill`,
        'runner.hung worker_lingers': `${parent}.deregistering | emit runner_hung`,
        ...endings(`${parent}.deregistering`),
      },
    },
    {
      leaf: `${parent}.lingering`,
      at: { runner: 'alive.busy' },
      given: given({ ...BUSY, lingering: true }),
      cells: {
        ...always('lingering', asks),
        'link.up': `${parent}.deregistering`,
        'link.up announceAgain': `${parent}.deregistering`,
        'job.started': '= | emit job_started',
        'job.finished': `${parent}.deregistering | emit job_completed`,
        ...endings(`${parent}.deregistering`),
        'after lingerRetry': `${parent}.deregistering`,
      },
    },
    {
      leaf: `${parent}.deregistering`,
      when: 'the process of a job that is done lingers',
      at: { runner: 'alive.busy' },
      given: given({ ...BUSY, lingering: true }),
      cells: {
        // I5: GitHub's word, and nothing else, ends it.
        'done deregister: deleted': `${parent}.stoppingRunner | runner stop`,
        'done deregister: notManaged': `${parent}.finishingJob`,
        'done deregister: busy': `${parent}.lingering`,
        'done deregister: unavailable': `${parent}.lingering`,
        'error deregister': `${parent}.lingering`,
        'after deregisterTimeout': `${parent}.lingering`,
      },
    },
    {
      leaf: `${parent}.deregistering`,
      when: 'another runner was left behind',
      given: given({ leftBehind: ['vm-0', 'vm-9'] }),
      cells: { 'done deregister: deleted': '=', 'done deregister: busy': refused },
    },
    {
      leaf: `${parent}.finishingJob`,
      when: 'the registration is deleted',
      at: { runner: 'alive.busy' },
      given: given({ ...BUSY, runner: undefined }),
      cells: {
        'link.up': '=',
        'job.finished': `${parent}.stoppingRunner | emit job_completed, runner stop`,
        'runner.exited': `${done} | emit runner_crashed`,
        'runner.exited 0': `${done} | emit runner_exited`,
        ...(draining ? { 'undrain.request': `registering.clearing.finishingJob | ${TAKES_BACK}` } : {}),
      },
    },
    {
      leaf: `${parent}.stoppingRunner`,
      at: { runner: 'alive.idle' },
      given: given({ ...IDLE, runner: undefined, stopRequested: true, stopping: true }),
      cells: {
        ...always('stoppingRunner', endsAlready),
        ...orders(same('stoppingRunner', endsAlready), same('stoppingRunner', endsAlready)),
        'drain.deadlineReached': '=',
        // I5: a job that came in nevertheless is let finish, and not killed when the grace ends.
        'job.started': `${parent}.finishingJob | emit job_started`,
        ...endings(done),
        'runner.exited': `${done} | emit runner_exited`,
        'stop.graceEnded': '= | runner kill',
      },
    },
    {
      leaf: `${parent}.stoppingRunner`,
      when: 'it was cut short, and its registration is still there',
      at: { runner: 'alive.idle' },
      given: given({ ...IDLE, forced: true, stopRequested: true, stopping: true }),
      cells: {
        'runner.exited 0': `${parent}.deregistering | emit runner_exited`,
        'job.started': '= | emit job_started',
      },
    },
  ];
}

const inReady = (leaf: 'idle' | 'busy'): Cells => ({
  ...EVERYWHERE,
  ...LINK_NEWS,
  ...NO_DEADLINE,
  ...stays('runner.started', 'runner.listening', 'job.described'),
  ...ALIVE_NEWS,
  ...orders(`draining.deregistering | ${ENTERS}`, `draining.stoppingRunner | ${ENTERS}, runner stop`),
  'register.request': '= | settle register ok',
  'register.request replace':
    leaf === 'idle' ? 'registering.clearing.deregistering | emit runner_hung' : '= | settle register failed',
  ...NOT_DRAINING,
  'runner.hung worker_lingers': 'registering.clearing.deregistering | emit runner_hung',
  'runner.exited gone': 'registering.connecting | emit runner_exited',
  'runner.exited never': `draining.deregistering | emit runner_crashed, ${ENTERS}`,
  'runner.exited spent': 'registering.backingOff | emit runner_crashed',
  'job.started': leaf === 'idle' ? 'ready.busy | emit job_started' : '= | emit job_started',
  'job.finished': leaf === 'busy' ? 'ready.idle | emit job_completed' : '=',
  'runner.exited': 'registering.backingOff | emit runner_crashed',
  // GitHub may still know it.
  'runner.exited 0': 'registering.clearing.deregistering | emit runner_exited',
  'after stableReady': '=',
});

const TABLE: Row[] = [
  {
    leaf: 'booting',
    at: { link: 'announcing.asking' },
    given: {},
    cells: {
      ...EVERYWHERE,
      ...LINK_NEWS,
      ...RUNNER_NEWS,
      ...NO_DEADLINE,
      ...noRunner(),
      ...NOT_DRAINING,
      announced: 'registering.connecting',
      'announce.refused': 'shutdown.flushing | remember ended, emit vm_shutting_down',
      'register.request': '= | settle register failed',
      'register.request replace': '= | settle register failed',
    },
  },
  {
    leaf: 'booting',
    when: 'an earlier MIGlet left a runner',
    at: { runner: 'alive.idle' },
    given: IDLE,
    cells: {
      announced: 'registering.clearing.deregistering',
      'announce.refused': `draining.deregistering | ${ENTERS}`,
      'drain.request': `draining.deregistering | ${ENTERS}`,
    },
  },
  {
    leaf: 'booting',
    when: 'it was drained before',
    given: DRAIN,
    cells: { announced: `draining.drained | ${ENTERS}`, 'undrain.request': `= | ${TAKES_BACK}` },
  },
  ...retiring('registering.clearing'),
  {
    leaf: 'registering.connecting',
    given: {},
    cells: {
      ...EVERYWHERE,
      ...LINK_NEWS,
      ...RUNNER_NEWS,
      ...NO_DEADLINE,
      ...noRunner(),
      ...NOT_DRAINING,
      'link.up': 'registering.awaitingCommand',
      'register.request': '=',
      'register.request replace': '=',
    },
  },
  {
    leaf: 'registering.connecting',
    when: 'a registration came early',
    given: { registration: PENDING },
    cells: { 'link.up': 'registering.configuring', 'register.request': '= | settle register-0 failed' },
  },
  {
    leaf: 'registering.awaitingCommand',
    at: ONLINE,
    given: { linkUp: true },
    cells: {
      ...EVERYWHERE,
      ...LINK_NEWS,
      ...RUNNER_NEWS,
      ...NO_DEADLINE,
      ...noRunner(),
      ...NOT_DRAINING,
      'register.request': 'registering.configuring',
      'register.request replace': 'registering.configuring',
    },
  },
  {
    leaf: 'registering.configuring',
    given: { ...REGISTERED, registration: PENDING },
    cells: {
      ...EVERYWHERE,
      ...LINK_NEWS,
      ...RUNNER_NEWS,
      ...NO_DEADLINE,
      ...orders(
        `draining.deregistering | settle register-0 failed, ${ENTERS}`,
        `draining.deregistering | settle register-0 failed, ${ENTERS}`,
      ),
      'register.request': '= | settle register failed',
      'register.request replace': '= | settle register failed',
      ...NOT_DRAINING,
      'done configureRunner: ok': 'registering.starting | runner start',
      'done configureRunner: retryable': 'registering.backingOff',
      'done configureRunner: fatal': 'registering.backingOff | settle register-0 failed',
      'error configureRunner': 'registering.backingOff',
      'after configureTimeout': 'registering.backingOff',
    },
  },
  {
    leaf: 'registering.configuring',
    when: 'this is the last attempt',
    given: { ...REGISTERED, registration: PENDING, registrationFailures: 2 },
    cells: Object.fromEntries(
      [
        'done configureRunner: retryable',
        'done configureRunner: fatal',
        'error configureRunner',
        'after configureTimeout',
      ].map((name) => [name, `draining.deregistering | settle register-0 failed, ${ENTERS}`]),
    ),
  },
  {
    leaf: 'registering.starting',
    at: { runner: 'alive.starting' },
    given: { ...IDLE, registration: PENDING },
    cells: {
      ...EVERYWHERE,
      ...LINK_NEWS,
      ...NO_DEADLINE,
      ...stays('runner.started', 'job.finished', 'job.described'),
      ...ALIVE_NEWS,
      ...orders(
        `draining.deregistering | settle register-0 failed, ${ENTERS}`,
        `draining.stoppingRunner | settle register-0 failed, ${ENTERS}, runner stop`,
      ),
      'register.request': '= | settle register failed',
      'register.request replace': '= | settle register failed',
      ...NOT_DRAINING,
      'runner.listening': 'ready.idle | emit runner_registered, settle register-0 ok',
      'job.started': '= | emit job_started',
      'runner.exited': 'registering.backingOff | emit runner_crashed',
      'runner.exited 0': 'registering.backingOff | emit runner_exited',
      'runner.exited gone': 'registering.backingOff | settle register-0 failed, emit runner_exited',
      'runner.exited never': `draining.deregistering | emit runner_crashed, settle register-0 failed, ${ENTERS}`,
      'runner.exited spent': 'registering.backingOff | settle register-0 failed, emit runner_crashed',
      'after startTimeout': 'registering.clearing.deregistering | settle register-0 failed',
    },
  },
  {
    leaf: 'registering.starting',
    when: 'this is the last attempt',
    at: { runner: 'alive.starting' },
    given: { ...IDLE, registration: PENDING, registrationFailures: 2 },
    cells: {
      'after startTimeout': `draining.deregistering | settle register-0 failed, ${ENTERS}`,
      'runner.exited': `draining.deregistering | emit runner_crashed, settle register-0 failed, ${ENTERS}`,
    },
  },
  {
    leaf: 'registering.starting',
    when: 'the process could not be started at all',
    given: { ...REGISTERED, registration: PENDING },
    cells: { 'runner.exited': 'registering.backingOff' },
  },
  {
    leaf: 'registering.backingOff',
    given: { ...REGISTERED, registration: PENDING, registrationFailures: 1 },
    cells: {
      ...EVERYWHERE,
      ...LINK_NEWS,
      ...RUNNER_NEWS,
      ...NO_DEADLINE,
      ...orders(
        `draining.deregistering | settle register-0 failed, ${ENTERS}`,
        `draining.deregistering | settle register-0 failed, ${ENTERS}`,
      ),
      'register.request': '= | settle register-0 failed',
      'register.request replace': '= | settle register-0 failed',
      ...NOT_DRAINING,
      'after registrationBackoff': 'registering.configuring',
    },
  },
  {
    leaf: 'registering.backingOff',
    when: 'the registration is spent',
    given: { ...REGISTERED, registrationFailures: 1 },
    // What it was registered as is deleted before it registers anew.
    cells: { 'register.request': '=', 'after registrationBackoff': 'registering.clearing.deregistering' },
  },
  { leaf: 'ready.idle', at: { runner: 'alive.idle' }, given: IDLE, cells: inReady('idle') },
  { leaf: 'ready.busy', at: { runner: 'alive.busy' }, given: BUSY, cells: inReady('busy') },
  {
    leaf: 'ready.idle',
    when: 'the runner has failed as often as it may',
    at: { runner: 'alive.idle' },
    given: { ...IDLE, registrationFailures: 2 },
    cells: { 'runner.exited': `draining.deregistering | emit runner_crashed, ${ENTERS}` },
  },
  ...retiring('draining'),
  {
    leaf: 'draining.drained',
    given: DRAIN,
    cells: {
      ...EVERYWHERE,
      ...LINK_NEWS,
      ...RUNNER_NEWS,
      ...NO_DEADLINE,
      'register.request': 'registering.connecting | forget drained',
      'register.request replace': 'registering.connecting | forget drained',
      'undrain.request': `registering.connecting | ${TAKES_BACK}`,
      'runner.started': 'draining.deregistering',
      'drain.request': '= | settle drain ok',
      'drain.request force': '= | settle drain ok',
      'shutdown.request': `shutdown.flushing | ${ENDS}`,
      'shutdown.request force': `shutdown.flushing | ${ENDS}`,
    },
  },
  {
    leaf: 'draining.finishingJob',
    when: 'drains wait for their end, and it is taken back',
    at: { runner: 'alive.busy' },
    given: { ...BUSY, drain: { ...DRAIN.drain, commandIds: ['drain-1', 'drain-2'] } },
    cells: {
      'undrain.request':
        'registering.clearing.deregistering | forget drained, settle drain-1 failed, settle drain-2 failed, settle undrain ok',
    },
  },
  ...['deregistering', 'finishingJob', 'lingering', 'waitingToAsk', 'stoppingRunner'].map((leaf): Row => ({
    leaf: `draining.${leaf}`,
    when: 'the VM shuts down',
    at: { runner: 'alive.idle' },
    given: { ...IDLE, ...DOWN },
    cells: {
      'undrain.request': '= | settle undrain failed',
      'register.request': '= | settle register failed',
    },
  })),
  ...(['flushing', 'poweringOff'] as const).map((leaf): Row => ({
    leaf: `shutdown.${leaf}`,
    given: DOWN,
    cells: {
      ...EVERYWHERE,
      ...LINK_NEWS,
      ...RUNNER_NEWS,
      ...NO_DEADLINE,
      ...orders('', ''),
      'register.request': '= | settle register failed',
      'register.request replace': '= | settle register failed',
      'undrain.request': '= | settle undrain failed',
      'drain.request': '= | settle drain ok',
      'drain.request force': '= | settle drain ok',
      'shutdown.request': '= | settle shutdown ok',
      'shutdown.request force': '= | settle shutdown ok',
      ...(leaf === 'flushing'
        ? { 'done flush': 'ended', 'error flush': 'ended', 'after flushTimeout': 'ended' }
        : { 'done powerOff': 'ended', 'error powerOff': 'ended' }),
    },
  })),
  {
    leaf: 'shutdown.flushing',
    when: 'the VM is to be powered off',
    given: { ...DOWN, ending: { ...DOWN.ending, poweroff: true } },
    cells: {
      'done flush': 'shutdown.poweringOff',
      'error flush': 'shutdown.poweringOff',
      'after flushTimeout': 'shutdown.poweringOff',
    },
  },
];

/** Heartbeats follow the link: its table speaks of them. */
const seesDeed = (deed: string): boolean => deed !== 'heartbeat';

describe('lifecycle table', () => {
  it('has a row for every state that rests, and no other', () => {
    const whole = TABLE.filter((row) => row.when === undefined).map((row) => row.leaf);
    expect(whole.sort()).toEqual(restingLeaves('lifecycle').sort());
  });

  it('knows the states that are left at once', () => {
    expect(transientLeaves('lifecycle')).toEqual([
      'registering.clearing.deciding',
      'registering.clearing.refused',
      'registering.clearing.cleared',
      'draining.deciding',
      'draining.refused',
      'shutdown.flushed',
      'shutdown.done',
      'ended',
    ]);
  });

  it.each(TABLE.map((row) => [row.leaf, row.when === undefined ? '' : ` when ${row.when}`, row] as const))(
    'in %s%s, everything that can be heard does what the table says',
    (_leaf, _when, row) => expectRow('lifecycle', BASE, row, seesDeed),
  );

  it('takes the failure of whoever watches the runner for its exit, in every state', () => {
    for (const row of TABLE) {
      const place = { ...BASE, ...row.at, lifecycle: row.leaf };
      const failed = step(place, row.given, { type: 'xstate.error.actor.runner' });
      const exited = step(place, row.given, { type: 'runner.exited', code: undefined, signal: undefined });
      expect([row.leaf, failed]).toEqual([row.leaf, exited]);
    }
  });

  it('has no event type twice and none left out', () => {
    expect(EVENT_TYPES.map((type) => sampleOf(type).type)).toEqual(EVENT_TYPES);
  });
});
