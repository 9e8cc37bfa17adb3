import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { EventResource } from '@mig/common/api/history-resource';
import { judgeEvents } from './events-verdict.js';
import { eventKey, type WitnessLog } from './witness-log.js';

const VM = 'vm-1';
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-verdict-'));
  mkdirSync(path.join(folder, VM));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const event = (sequence: number): EventResource => ({
  id: `20260101T00000${sequence}.000000Z`,
  type: 'job_started',
  vm_id: VM,
  pool_id: 'p',
  org_id: 'o',
  boot_id: 'b',
  sequence,
  data: {},
  timestamp: '2026-01-01T00:00:00.000Z',
  received_at: '2026-01-01T00:00:00.000Z',
  via: 'grpc',
});

/** @returns the promises that are broken */
function judge(journaled: readonly number[], stored: readonly number[], files: readonly number[]): string[] {
  const log: WitnessLog = {
    vmId: VM,
    commands: new Map(),
    events: new Map(journaled.map((sequence) => [eventKey('b', sequence), 'job_started'])),
    processCount: 1,
    facts: [],
  };
  files.forEach((sequence, index) =>
    writeFileSync(
      path.join(folder, VM, `grpc-event-job_started-${index}.json`),
      JSON.stringify(event(sequence)),
    ),
  );
  const { verdicts } = judgeEvents([log], new Map([[VM, stored.map(event)]]), folder);
  return verdicts.filter((each) => !each.held).map((each) => each.promise);
}

describe('the verdict on events', () => {
  it('holds when each is stored once, in order, and one that was killed before it was written down is stored too', () => {
    expect(judge([1, 2], [1, 2, 3], [1, 2, 3])).toEqual([]);
  });

  it.each([
    ['one is lost', [1, 2, 3], [1, 3], [1, 3], ['every event of a VM is stored']],
    [
      'one is stored twice',
      [1, 2],
      [1, 1, 2],
      [1, 1, 2],
      ['no event is stored twice', 'the files of the events say the same as the API'],
    ],
    ['the order is another', [1, 2], [2, 1], [2, 1], ['events are stored in the order of their boot']],
    ['a file is missing', [1, 2], [1, 2], [1], ['the files of the events say the same as the API']],
  ])('is broken when %s', (_what, journaled, stored, files, promises) => {
    expect(judge(journaled, stored, files)).toEqual(promises);
  });
});
