/** A verdict that always says "held" proves nothing: each thing that may go wrong breaks its own promise, and no other. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { CommandResource } from '@mig/common/api/command-resource';
import type { Fact } from '../fleet/witness.js';
import { openJsonLines } from '../system/json-lines.js';
import { judgeCommands } from './commands-verdict.js';
import { readWitnessLog } from './witness-log.js';

const VM = 'vm-1';
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-verdict-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const started = { kind: 'started', bootId: 'b', resumed: false, events: [], commands: [] } as const;
const taken = (id: string, type = 'set_log_level'): Fact => ({ kind: 'taken', id, type });
const level: Fact = { kind: 'logLevel', level: 'debug' };
const ended = (id: string, message = 'done'): Fact => ({ kind: 'ended', id, success: true, message });
const carriedOut = (id: string): Fact[] => [taken(id), level, ended(id)];

const command = (id: string, change: Partial<CommandResource> = {}): CommandResource => ({
  id,
  vm_id: VM,
  type: 'set_log_level',
  parameters: {},
  state: 'completed',
  attempts: 1,
  created_at: '2026-01-01T00:00:00.000Z',
  created_by: 'operator',
  delivery_deadline_at: '2026-01-01T01:00:00.000Z',
  execution_deadline_at: '2026-01-01T01:05:00.000Z',
  message: 'done',
  ...change,
});

/** @returns the promises that are broken, and the figures */
function judge(given: {
  readonly accepted?: readonly string[];
  readonly records: readonly CommandResource[];
  readonly facts: readonly Fact[];
  readonly files?: readonly CommandResource[];
}) {
  const lines = openJsonLines<Fact & { at: number }>(path.join(folder, 'witness.jsonl'));
  for (const fact of given.facts) lines.write({ at: 0, ...fact });
  lines.close();
  const commands = path.join(folder, VM, 'commands');
  mkdirSync(commands, { recursive: true });
  for (const record of given.files ?? given.records)
    writeFileSync(path.join(commands, `${record.id}.json`), JSON.stringify(record));
  const ids = given.accepted ?? given.records.map((record) => record.id);
  const { verdicts, figures } = judgeCommands({
    accepted: ids.map((id) => ({ vmId: VM, command: command(id) })),
    records: given.records,
    logs: [readWitnessLog(VM, path.join(folder, 'witness.jsonl'))],
    dataDirectory: folder,
  });
  return {
    broken: verdicts.filter((each) => !each.held).map((each) => each.promise),
    figure: (name: string) => figures.find((figure) => figure.name === name)?.value,
  };
}

describe('the verdict on commands', () => {
  it('holds when each was carried out once, in its turn, and one that never went out says why', () => {
    const { broken, figure } = judge({
      records: [
        command('c1'),
        command('c2', { state: 'superseded', message: 'c3 took its place before it went out', attempts: 0 }),
        command('c3'),
      ],
      facts: [started, ...carriedOut('c1'), ...carriedOut('c3')],
    });
    expect(broken).toEqual([]);
    expect(figure('completed')).toBe(2);
  });

  it('holds when a process that was killed before the result was noted is followed by one that does it for the first time', () => {
    const { broken, figure } = judge({
      records: [command('c1')],
      facts: [started, taken('c1'), level, started, level, ended('c1')],
    });
    expect(broken).toEqual([]);
    expect(figure('begun, cut short by a kill, and finished by the next process')).toBe(1);
  });

  it('holds when a process was killed after it had journaled, and before that was written down', () => {
    const journaled = (id: string) => ({
      id,
      type: 'set_log_level',
      outcome: { success: true, message: 'done' },
    });
    const { broken } = judge({
      records: [command('c1'), command('c2')],
      facts: [started, taken('c1'), level, { ...started, commands: [journaled('c1'), journaled('c2')] }],
    });
    expect(broken).toEqual([]);
  });

  it.each<[string, Parameters<typeof judge>[0], string]>([
    [
      'a command is not known in the end',
      { accepted: ['c1', 'c2'], records: [command('c1')], facts: [started, ...carriedOut('c1')] },
      'every command that was accepted is known in the end',
    ],
    [
      'a command never ends',
      { records: [command('c1', { state: 'received' })], facts: [started, taken('c1')] },
      'every command has ended',
    ],
    [
      'an order is queued twice for a lost answer',
      {
        accepted: ['c1'],
        records: [command('c1'), command('c2')],
        facts: [started, ...carriedOut('c1'), ...carriedOut('c2')],
      },
      'no order was queued twice',
    ],
    [
      'a command is begun a second time',
      {
        records: [command('c1')],
        facts: [started, taken('c1'), started, taken('c1'), level, ended('c1')],
      },
      'no command took effect twice',
    ],
    [
      'its effect is seen twice in one process',
      { records: [command('c1')], facts: [started, taken('c1'), level, level, ended('c1')] },
      'no command took effect twice',
    ],
    [
      'config.sh runs in two processes for one registration',
      {
        records: [command('c1', { type: 'register_runner' })],
        facts: [
          started,
          taken('c1', 'register_runner'),
          { kind: 'configured', commandId: 'c1' },
          started,
          { kind: 'configured', commandId: 'c1' },
          ended('c1'),
        ],
      },
      'no command took effect twice',
    ],
    [
      'a result is not the one that the VM gave',
      { records: [command('c1', { message: 'other' })], facts: [started, ...carriedOut('c1')] },
      'every result is recorded as the VM gave it',
    ],
    [
      'a command is complete that no VM has seen',
      { records: [command('c1')], facts: [started] },
      'every result is recorded as the VM gave it',
    ],
    [
      'a superseded command was carried out',
      { records: [command('c1', { state: 'superseded' })], facts: [started, ...carriedOut('c1')] },
      'every result is recorded as the VM gave it',
    ],
    [
      'a later command begins first',
      {
        records: [command('c1'), command('c2')],
        facts: [started, ...carriedOut('c2'), ...carriedOut('c1')],
      },
      'commands of a VM began in the order of their submission',
    ],
    [
      'a file says something else than the API',
      {
        records: [command('c1')],
        facts: [started, ...carriedOut('c1')],
        files: [command('c1', { state: 'received' })],
      },
      'the files of the commands say the same as the API',
    ],
  ])('is broken when %s', (_what, given, promise) => {
    expect(judge(given).broken).toEqual([promise]);
  });
});
