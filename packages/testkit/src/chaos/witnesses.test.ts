/** What the harness reads of others: logs, journals, secrets on the wire. */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { createControllerHistory } from './controller-history.js';
import { createLogTail } from './log-tail.js';
import { canFollow } from './sampler.js';
import { createSecretTap } from './secret-tap.js';
import { unsentEvents } from './unsent-events.js';
import { createVmHistoryReader } from './vm-history.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'mig-witness-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const line = (entry: object): string => `${JSON.stringify(entry)}\n`;
const time = '2026-11-21T12:00:00.500Z';

describe('a log that grows', () => {
  test('each line is read once, when it is whole', () => {
    const file = path.join(folder, 'growing.log');
    writeFileSync(file, '{"a":1}\nno JSON\n{"b":');
    const tail = createLogTail(file);
    expect(tail.read()).toEqual([
      { kind: 'entry', entry: { a: 1 } },
      { kind: 'text', text: 'no JSON' },
    ]);
    appendFileSync(file, '"é"}\n');
    expect(tail.read()).toEqual([{ kind: 'entry', entry: { b: 'é' } }]);
    expect(tail.read()).toEqual([]);
  });
});

describe('what a VM did', () => {
  test('lives, events, commands and troubles are told apart', () => {
    const log = path.join(folder, 'vm.log');
    const state = path.join(folder, 'state');
    const commands = path.join(folder, 'commands.jsonl');
    writeFileSync(
      log,
      [
        line({ life: 1, startedAt: 0 }),
        line({ level: 'info', time, event: 'starting', bootId: 'boot-1', msg: 'the MIGlet starts' }),
        line({ level: 'info', time, name: 'miglet', event: 'job_started', msg: 'event job_started' }).replace(
          '"event"',
          '"name":"build","event"',
        ),
        line({
          level: 'info',
          time,
          event: 'state',
          from: 'draining.deregistering',
          to: 'draining.waitingToAsk',
        }),
        line({ level: 'info', time, commandId: 'a', msg: 'a command was taken' }),
        line({ level: 'info', time, commandId: 'a', msg: 'a command has ended' }),
        line({ level: 'error', time, msg: 'it went wrong' }),
      ].join(''),
    );
    writeFileSync(commands, '');
    const reader = createVmHistoryReader('vm-1', log, folder);
    const history = reader.read();
    expect(history.lives).toEqual([
      {
        number: 1,
        bootId: 'boot-1',
        events: [{ type: 'job_started', job: 'build', at: Date.parse(time) }],
        askedInVain: true,
        registers: false,
      },
    ]);
    expect(history.takenAt.get('a')).toEqual([Date.parse(time)]);
    expect(history.endedAt.get('a')).toBe(Date.parse(time));
    expect(history.troubles).toHaveLength(1);
    expect(unsentEvents(state)).toBe(0);
  });

  test('the journal is read once, also when it is written anew without the oldest', () => {
    const log = path.join(folder, 'empty.log');
    const commands = path.join(folder, 'commands.jsonl');
    const taken = (id: string): string => line({ kind: 'taken', id, type: 'drain' });
    writeFileSync(log, '');
    const reader = createVmHistoryReader('vm-1', log, folder);
    writeFileSync(commands, taken('a') + line({ kind: 'finished', id: 'a' }) + taken('b'));
    expect(reader.read().taken).toEqual(['a', 'b']);
    writeFileSync(commands, taken('b') + taken('c') + taken('b'));
    expect(reader.read().taken).toEqual(['a', 'b', 'c', 'b']);
  });

  test('an event is unsent until it is acknowledged or given up', () => {
    const state = path.join(folder, 'journal');
    const file = path.join(folder, 'journal', 'events-boot-1.jsonl');
    rmSync(state, { recursive: true, force: true });
    expect(unsentEvents(state)).toBe(0);
    const event = (sequence: number): string => line({ kind: 'event', event: { sequence } });
    const write = (...lines: readonly string[]): void => {
      rmSync(state, { recursive: true, force: true });
      mkdirSync(state);
      writeFileSync(file, lines.join(''));
    };
    write(event(1), event(2), event(3), line({ kind: 'acknowledged', sequence: 2 }));
    expect(unsentEvents(state)).toBe(1);
    write(event(1), line({ kind: 'dropped', sequences: [1], event: { sequence: 2 } }), '{"kind":"ev');
    expect(unsentEvents(state)).toBe(1);
  });
});

describe('what the controller said', () => {
  test('errors and connects, by their second', () => {
    const log = path.join(folder, 'controller.log');
    const connected = (at: string): string => line({ level: 'info', time: at, event: 'connected' });
    writeFileSync(
      log,
      connected('2026-11-21T12:00:00.100Z') +
        connected('2026-11-21T12:00:00.900Z') +
        connected('2026-11-21T12:00:01.000Z') +
        line({ level: 'error', time, msg: 'it went wrong' }) +
        'node: out of memory\n',
    );
    const { connects, troubles } = createControllerHistory(log).read();
    expect([...connects.values()]).toEqual([2, 1]);
    expect(troubles.map(({ text }) => text.includes('wrong') || text.includes('memory'))).toEqual([
      true,
      true,
    ]);
  });
});

describe('secrets on the wire', () => {
  test('a token is seen, also in two pieces, and a credential too', () => {
    const tap = createSecretTap();
    tap.onData(Buffer.from('HTTP/1.1 201 Created\r\n\r\n{"token":"AB'));
    tap.onData(Buffer.from('12","expires_at":"…"}'));
    tap.onData(Buffer.from('{"agent_id":1,"credential":"xyz"}'));
    expect([...tap.list().values()]).toEqual(['token', 'credential of a runner']);
    expect(tap.list().has('AB12')).toBe(true);
    const own = tap.invent();
    expect(tap.list().get(own)).toBe('token of the REST API');
  });
});

describe('what may be seen after what', () => {
  test('a command may skip what was not seen, and never returns from its end', () => {
    expect(canFollow('queued', 'completed')).toBe(true);
    expect(canFollow('sent', 'queued')).toBe(true);
    expect(canFollow('completed', 'queued')).toBe(false);
    expect(canFollow('received', 'queued')).toBe(false);
  });
});
