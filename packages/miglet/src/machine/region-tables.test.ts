import { describe, expect, it } from '@jest/globals';
import { job, RUNNER } from './harness.contract.js';
import type { Place } from './chart.contract.js';
import { expectRow, restingLeaves, stays, transientLeaves, type Cells, type Row } from './table.contract.js';

const BASE: Place = { lifecycle: 'ready.idle', link: 'open.online', runner: 'alive.idle' };
const GIVEN = { runner: RUNNER, processAlive: true };

const COMMANDS = stays(
  'register.request',
  'register.request replace',
  'drain.request',
  'drain.request force',
  'undrain.request',
  'shutdown.request',
  'shutdown.request force',
  'drain.deadlineReached',
  'stop.graceEnded',
);
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
/** The lifecycle beside it is idle. */
const REPLACED: Cells = { 'register.request replace': '= | emit runner_hung' };
const UNMOVED: Cells = { ...COMMANDS, ...LINK_NEWS, ...RUNNER_NEWS, ...stays('settings.update') };

const LINK: Row[] = [
  {
    leaf: 'announcing.asking',
    given: GIVEN,
    cells: {
      ...UNMOVED,
      'lifecycle.ended': 'closed',
      'done announce: ok': 'open.connecting',
      'done announce: retryable': 'announcing.waiting',
      'done announce: fatal': 'announcing.refused',
      'error announce': 'announcing.waiting',
    },
  },
  ...['announcing.waiting', 'announcing.refused'].map((leaf): Row => ({
    leaf,
    given: GIVEN,
    cells: { ...UNMOVED, 'lifecycle.ended': 'closed', 'after announceBackoff': 'announcing.asking' },
  })),
  {
    leaf: 'open.connecting',
    given: GIVEN,
    cells: {
      ...UNMOVED,
      'lifecycle.ended': 'closed',
      'link.up': 'open.online | heartbeat',
      'link.up announceAgain': 'announcing.waiting',
      'link.down': 'backingOff',
      'error link': 'backingOff',
      'after connectTimeout': 'backingOff',
    },
  },
  {
    leaf: 'open.online',
    given: { ...GIVEN, linkUp: true },
    cells: {
      ...UNMOVED,
      'lifecycle.ended': 'closed',
      'heartbeat.due': '= | heartbeat',
      'settings.update': '= | heartbeat',
      'job.described': '= | heartbeat',
      'link.down': 'backingOff',
      'link.reconnect': 'toldToWait',
      'error link': 'backingOff',
      'after minimumUptime': '=',
    },
  },
  {
    leaf: 'backingOff',
    given: GIVEN,
    cells: { ...UNMOVED, 'lifecycle.ended': 'closed', 'after reconnectDelay': 'open.connecting' },
  },
  {
    leaf: 'toldToWait',
    given: GIVEN,
    cells: { ...UNMOVED, 'lifecycle.ended': 'closed', 'after toldReconnect': 'open.connecting' },
  },
];

const RUNNER_TABLE: Row[] = [
  {
    leaf: 'none',
    given: {},
    cells: { ...UNMOVED, ...REPLACED, 'lifecycle.ended': 'closed', 'runner.started': 'alive.starting' },
  },
  ...(['starting', 'idle', 'busy'] as const).map((leaf): Row => ({
    leaf: `alive.${leaf}`,
    given: { ...GIVEN, job: leaf === 'busy' ? job() : undefined },
    cells: {
      ...UNMOVED,
      ...(leaf === 'busy' ? {} : REPLACED),
      'lifecycle.ended': 'closed',
      'runner.listening': leaf === 'starting' ? 'alive.idle' : '=',
      'job.started': leaf === 'busy' ? '= | emit job_started' : 'alive.busy | emit job_started',
      'job.finished': leaf === 'busy' ? 'alive.idle | emit job_completed' : '=',
      'runner.exited': 'none | emit runner_crashed',
      'runner.exited 0': 'none | emit runner_exited',
      'runner.exited gone': 'none | emit runner_exited',
      'runner.exited never': 'none | emit runner_crashed',
      'runner.exited spent': 'none | emit runner_crashed',
      'runner.hung': '= | emit runner_hung, runner kill',
      // I5: a job may still be there.
      'runner.hung worker_lingers': '= | emit runner_hung',
      'runner.disconnected': '= | emit runner_disconnected',
      'runner.reconnected': '= | emit runner_reconnected',
      'runner.updating': '= | emit runner_updating',
      'runner.restarting':
        leaf === 'starting' ? '= | emit runner_crashed' : 'alive.starting | emit runner_crashed',
    },
  })),
  {
    leaf: 'alive.idle',
    when: 'it updates itself, as was told',
    given: { ...GIVEN, paused: 'update' },
    cells: { 'runner.restarting': 'alive.starting | emit runner_crashed' },
  },
  {
    leaf: 'alive.idle',
    when: 'it was told to end',
    given: { ...GIVEN, stopRequested: true },
    cells: { 'runner.exited': 'none | emit runner_exited' },
  },
];

const describeRegion = (region: 'link' | 'runner', table: Row[], sees: (deed: string) => boolean): void => {
  it('has a row for every state that rests, and no other', () => {
    const whole = table.filter((row) => row.when === undefined).map((row) => row.leaf);
    expect(whole.sort()).toEqual(restingLeaves(region).sort());
  });
  it.each(table.map((row) => [row.leaf, row.when === undefined ? '' : ` when ${row.when}`, row] as const))(
    'in %s%s, everything that can be heard does what the table says',
    (_leaf, _when, row) => expectRow(region, BASE, row, sees),
  );
};

describe('link table', () => {
  describeRegion('link', LINK, (deed) => deed === 'heartbeat');

  it('knows the states that are left at once, or never', () => {
    expect(transientLeaves('link')).toEqual(['announcing.acknowledged', 'closed']);
  });
});

describe('runner table', () => {
  describeRegion('runner', RUNNER_TABLE, (deed) =>
    /^emit (runner_(?!registered)|job_)|^runner kill/.test(deed),
  );

  it('knows the state that is left never', () => {
    expect(transientLeaves('runner')).toEqual(['closed']);
  });
});
