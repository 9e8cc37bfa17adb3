/** The link between journals and a session that the test holds in its hands. */
import { describe, expect, it } from '@jest/globals';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { createLogger, silentLogger } from '@mig/common/logger';
import type { ConnectAck, ControllerMessage, MigletMessage } from '@mig/common/domain/messages';
import { createCommandJournal } from '../journal/command-journal.js';
import { createEventJournal } from '../journal/event-journal.js';
import { createMemoryLog } from '../journal/memory-log.contract.js';
import { createCommandIntake } from './command-intake.js';
import { createControllerLink } from './controller-link.js';
import type { SessionHandlers } from './session.js';

const VM = { vmId: 'vm-1', poolId: 'pool-a', orgId: 'acme' };
const HELLO = { ...VM, version: '1', bootId: 'boot-1', state: 'ready.idle', labels: [] };
const ACK: ConnectAck = {
  accepted: true,
  message: '',
  serverVersion: '1',
  sessionId: 'session-1',
  lastEventSequence: 0,
  heartbeatIntervalMs: 0,
  announceAgain: false,
  reconnectWindowMs: 0,
};
const DONE = { success: true, message: 'done', result: {} };

function createParts() {
  const clock = createManualClock();
  const eventLog = createMemoryLog();
  const commandLog = createMemoryLog();
  const events = createEventJournal(eventLog, []);
  const commands = createCommandJournal(commandLog, []);
  const begun: string[] = [];
  const heard: string[] = [];
  const logged: string[] = [];
  let sent: MigletMessage[] = [];
  let handlers: SessionHandlers | undefined;
  let room = Infinity;
  const link = createControllerLink({
    identity: VM,
    bootId: 'boot-1',
    session: () => ({ endpoint: '', keepaliveMs: 30_000, keepaliveTimeoutMs: 0 }),
    events,
    commands,
    intake: createCommandIntake(commands, (id) => begun.push(id), silentLogger),
    clock,
    logger: createLogger({
      name: 'miglet',
      level: 'trace',
      destination: { write: (line: string) => void logged.push(line) },
    }),
    openSession: (_options, _hello, given) => {
      handlers = given;
      return {
        send(message) {
          if (sent.length >= room) return false;
          sent.push(message);
          return true;
        },
        close: () => Promise.resolve(),
      };
    },
  });
  return {
    clock,
    link,
    events,
    commands,
    eventLog,
    commandLog,
    begun,
    heard,
    /** Lines of the log. */
    logged,
    /** Messages that the session takes before it is full. */
    setRoom: (count: number) => (room = count),
    connect(ack: Partial<ConnectAck> = {}) {
      link.open(HELLO, {
        onUp: () => heard.push('up'),
        onDown: () => heard.push('down'),
        onHeartbeatPolicy: (intervalMs) => heard.push(`beat every ${intervalMs}`),
        onReconnect: (afterMs) => heard.push(`reconnect after ${afterMs}`),
      });
      handlers?.onUp({ ...ACK, ...ack });
    },
    cut: () => handlers?.onDown('cut'),
    tell: (message: ControllerMessage) => handlers?.onMessage(message),
    acknowledge: (sequence: number) => handlers?.onMessage({ kind: 'eventAck', bootId: 'boot-1', sequence }),
    /** What was sent since this was last asked. */
    take() {
      const taken = sent;
      sent = [];
      return taken;
    },
  };
}
type Parts = ReturnType<typeof createParts>;

/** `3 after 2`: the sequence, and what must be stored before it. */
const eventsSent = (parts: Parts): string[] =>
  parts
    .take()
    .flatMap((message) =>
      message.kind === 'event' ? [`${message.event.sequence} after ${message.event.previousSequence}`] : [],
    );
const resultsSent = (parts: Parts): string[] =>
  parts
    .take()
    .flatMap((message) =>
      message.kind === 'ack' && message.ack.phase === 'completed' ? [message.ack.commandId] : [],
    );

describe('events', () => {
  it("are in the MIGlet's log, but of the runner's own logs only how long they are (I8)", () => {
    const { link, logged } = createParts();
    link.emitEvent('runner_crashed', { signal: 'SIGKILL' });
    link.emitEvent('runner_diag', { files: 'Runner_1.log', runner_log: 'a secret that nobody knows é' });
    expect(logged.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { event: 'runner_crashed', signal: 'SIGKILL' },
      { event: 'runner_diag', files_bytes: 12, runner_log_bytes: 29 },
    ]);
    expect(logged.join('')).not.toContain('secret');
  });

  it('go out in their order, each with the one that must be stored before it (I4)', () => {
    const parts = createParts();
    parts.link.emitEvent('vm_started', {});
    parts.link.emitEvent('draining', {});
    parts.connect();
    parts.link.emitEvent('runner_exited', {});
    expect(eventsSent(parts)).toEqual(['1 after 0', '2 after 1', '3 after 2']);
    parts.acknowledge(2);
    parts.link.emitEvent('draining', {});
    expect(eventsSent(parts)).toEqual(['4 after 3']);
  });

  it('go out again in the next session, from the last that the controller has', () => {
    const parts = createParts();
    for (let n = 0; n < 4; n += 1) parts.link.emitEvent('draining', {});
    parts.connect();
    parts.take();
    parts.cut();
    parts.connect({ lastEventSequence: 2 });
    expect(eventsSent(parts)).toEqual(['3 after 2', '4 after 3']);
  });

  it('do not wait for what a controller has lost that had acknowledged it', () => {
    const parts = createParts();
    for (let n = 0; n < 3; n += 1) parts.link.emitEvent('draining', {});
    parts.connect();
    parts.acknowledge(2);
    parts.cut();
    parts.take();
    // Its store is an older one.
    parts.connect({ lastEventSequence: 1 });
    expect(eventsSent(parts)).toEqual(['3 after 1']);
  });

  it('go out again if nothing is acknowledged for half a minute, and not while acknowledgements come', () => {
    const parts = createParts();
    parts.connect();
    parts.link.emitEvent('draining', {});
    parts.link.emitEvent('draining', {});
    parts.take();
    parts.clock.advance(29_000);
    parts.acknowledge(1);
    parts.clock.advance(29_000);
    expect(eventsSent(parts)).toEqual([]);
    parts.clock.advance(1_000);
    expect(eventsSent(parts)).toEqual(['2 after 1']);
    parts.acknowledge(2);
    parts.clock.advance(600_000);
    expect(eventsSent(parts)).toEqual([]);
  });

  it('that are many go out as the controller takes them, and none is skipped (I12)', () => {
    const parts = createParts();
    for (let n = 0; n < 1_200; n += 1) parts.link.emitEvent('draining', {});
    parts.connect();
    expect(eventsSent(parts)).toHaveLength(500);
    parts.acknowledge(1);
    expect(eventsSent(parts)).toEqual(['501 after 500']);
    parts.acknowledge(400);
    expect(eventsSent(parts)).toHaveLength(399);
    parts.acknowledge(900);
    expect(eventsSent(parts).at(-1)).toBe('1200 after 1199');
  });

  it('that a session does not take go out when it takes them', () => {
    const parts = createParts();
    parts.connect();
    parts.setRoom(1);
    for (let n = 0; n < 3; n += 1) parts.link.emitEvent('draining', {});
    expect(eventsSent(parts)).toEqual(['1 after 0']);
    parts.setRoom(Infinity);
    parts.clock.advance(30_000);
    expect(eventsSent(parts)).toEqual(['1 after 0', '2 after 1', '3 after 2']);
  });

  it('are acknowledged by being sent, to a controller that knows no acknowledgement', () => {
    const parts = createParts();
    for (let n = 0; n < 700; n += 1) parts.link.emitEvent('draining', {});
    parts.connect({ sessionId: '' });
    expect([eventsSent(parts).length, parts.events.pendingCount]).toEqual([700, 0]);
  });
});

describe('results', () => {
  it('that are not acknowledged go out again, in the same session and in the next (I2)', () => {
    const parts = createParts();
    parts.connect();
    for (const id of ['c1', 'c2']) {
      parts.commands.take(id, 'drain', {});
      parts.link.settleCommand(id, DONE);
    }
    expect(resultsSent(parts)).toEqual(['c1', 'c2']);
    parts.tell({ kind: 'resultAck', commandId: 'c1' });
    parts.clock.advance(30_000);
    expect(resultsSent(parts)).toEqual(['c2']);
    parts.cut();
    parts.connect();
    expect(resultsSent(parts)).toEqual(['c2']);
    parts.tell({ kind: 'resultAck', commandId: 'c2' });
    parts.clock.advance(600_000);
    expect(resultsSent(parts)).toEqual([]);
  });

  it('are not given up because a controller acknowledges one that has not come', () => {
    const parts = createParts();
    parts.connect();
    parts.commands.take('c1', 'drain', {});
    parts.tell({ kind: 'resultAck', commandId: 'c1' });
    parts.tell({ kind: 'resultAck', commandId: 'ghost' });
    parts.link.settleCommand('c1', DONE);
    parts.clock.advance(30_000);
    expect(resultsSent(parts)).toEqual(['c1', 'c1']);
  });

  it('are the first that a command had, however often it ends', () => {
    const parts = createParts();
    parts.connect();
    parts.commands.take('c1', 'drain', {});
    parts.link.settleCommand('c1', DONE);
    parts.link.settleCommand('c1', { ...DONE, success: false });
    expect(resultsSent(parts)).toEqual(['c1']);
    expect(parts.commands.get('c1')?.outcome).toEqual(DONE);
  });
});

describe('a disk that is full', () => {
  it('an event goes out when it is written, after the disk has space again (I4)', () => {
    const parts = createParts();
    parts.connect();
    parts.eventLog.space = 0;
    parts.link.emitEvent('job_started', {});
    parts.link.emitEvent('job_completed', {});
    parts.clock.advance(60_000);
    expect(eventsSent(parts)).toEqual([]);
    parts.eventLog.space = Infinity;
    parts.clock.advance(5_000);
    expect(eventsSent(parts)).toEqual(['1 after 0', '2 after 1']);
  });

  it('a command is refused and not begun; one that was taken before is answered', () => {
    const parts = createParts();
    parts.connect();
    parts.commands.take('c1', 'drain', {});
    parts.commandLog.space = 0;
    const command = { id: 'c2', type: 'drain', parameters: {}, createdAt: 0, startWithinMs: 0, attempt: 1 };
    parts.tell({ kind: 'command', command });
    parts.link.settleCommand('c1', DONE);
    expect(parts.begun).toEqual([]);
    expect(
      parts
        .take()
        .flatMap((message) => (message.kind === 'ack' ? [[message.ack.commandId, message.ack.result]] : [])),
    ).toEqual([
      ['c2', { code: 'journal-unavailable' }],
      ['c1', {}],
    ]);
    parts.commandLog.space = Infinity;
    parts.clock.advance(5_000);
    expect(createCommandJournal(undefined, parts.commandLog.lines()).get('c1')?.outcome).toEqual(DONE);
  });

  it('nothing is flushed before it is written', async () => {
    const parts = createParts();
    parts.connect();
    parts.eventLog.space = 0;
    parts.link.emitEvent('vm_shutting_down', {});
    let flushed = false;
    const waits = parts.link.flushed().then(() => (flushed = true));
    parts.eventLog.space = Infinity;
    parts.clock.advance(5_000);
    await Promise.resolve();
    expect(flushed).toBe(false);
    parts.acknowledge(1);
    await waits;
  });
});

describe('what the controller asks for', () => {
  it('is handed on: the interval of heartbeats, and when to come back', () => {
    const parts = createParts();
    parts.connect();
    parts.tell({ kind: 'heartbeatPolicy', intervalMs: 45_000 });
    parts.tell({ kind: 'reconnect', afterMs: 1_500, reason: 'the controller stops' });
    expect(parts.heard).toEqual(['up', 'beat every 45000', 'reconnect after 1500']);
  });

  it('a heartbeat says when the next one is to be expected', () => {
    const parts = createParts();
    parts.connect();
    const report = {
      state: 'ready.idle',
      stateReason: '',
      health: undefined,
      runner: undefined,
      currentJob: undefined,
    };
    parts.link.sendHeartbeat(report, 45_000);
    expect(parts.take()).toMatchObject([{ kind: 'heartbeat', heartbeat: { intervalMs: 45_000 } }]);
  });

  it('a session that was left is not listened to any more', () => {
    const parts = createParts();
    const close = parts.link.open(HELLO, {
      onUp: () => parts.heard.push('up'),
      onDown: () => parts.heard.push('down'),
      onHeartbeatPolicy: () => parts.heard.push('policy'),
      onReconnect: () => parts.heard.push('reconnect'),
    });
    close();
    parts.tell({ kind: 'heartbeatPolicy', intervalMs: 1 });
    parts.cut();
    expect(parts.heard).toEqual([]);
    expect(parts.clock.timerCount).toBe(0);
  });
});
