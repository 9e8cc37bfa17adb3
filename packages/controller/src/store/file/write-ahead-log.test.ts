import { beforeEach, describe, expect, it } from '@jest/globals';
import { neverBusy } from '@mig/common/process-load';
import { until } from '@mig/testkit/github/until';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { parseLine, toLine } from './log-entry.js';
import type { Segment } from './log-segment.js';
import { createMemoryDisk, type FaultCode, type MemoryDisk } from './memory-disk.contract.js';
import { createWriteAheadLog, type WriteAheadLog } from './write-ahead-log.js';

let disk: MemoryDisk;
let clock: ManualClock;
let sealed: Segment[];
let log: WriteAheadLog;
let operations: string[];
/** The faults of the next operations of a kind, in their order. */
let faults: Record<string, FaultCode[]>;

beforeEach(async () => {
  disk = createMemoryDisk(() => 0);
  clock = createManualClock();
  const handedOver: Segment[] = [];
  sealed = handedOver;
  operations = [];
  faults = {};
  await disk.files.makeDirectory('/data');
  await disk.files.syncDirectory('/');
  disk.setFaults((operation) => {
    operations.push(operation);
    return faults[operation]?.shift();
  });
  log = createWriteAheadLog(
    { files: disk.files, clock, isBusy: neverBusy, onSealed: (segment) => handedOver.push(segment) },
    { root: '/data', firstNumber: 7, segmentBytes: 10_000 },
  );
});

const write = (name: string, content = name) => log.append(() => ({ path: name, content }));
const count = (operation: string) => operations.filter((done) => done === operation).length;
/** The names that a log file speaks of after a power cut. */
const durable = (number = '0000000007') =>
  (disk.afterPowerCut().contents()[`/data/.wal/${number}.log`] ?? '')
    .split('\n')
    .filter(Boolean)
    .map((line) => parseLine(line)?.path);

describe('a line of the log', () => {
  const entry = { path: 'vm-1/vm.json', content: '{"grün": "\\n"}\n' };
  const line = toLine(entry).trimEnd();
  const record = { path: 'vm-1/"json":.json', content: { json: '{"grün":"\\n","json":[1]}' } };

  it('gives back the entry, also one of a record, and one that removes', () => {
    expect(parseLine(line)).toEqual(entry);
    expect(parseLine(toLine(record).trimEnd())).toEqual(record);
    for (const removed of ['file', 'tree'] as const) {
      expect(parseLine(toLine({ path: 'vm-1', removed }).trimEnd())).toEqual({ path: 'vm-1', removed });
    }
  });

  it('is nothing if any part of it is missing or different', () => {
    for (const whole of [line, toLine(record).trimEnd()]) {
      for (let end = 0; end < whole.length; end += 1) {
        expect(parseLine(whole.slice(0, end))).toBeUndefined();
        expect(parseLine(`${whole.slice(0, end)}\u0000${whole.slice(end + 1)}`)).toBeUndefined();
      }
    }
  });

  it.each(['../x', '/etc/x', 'a//b', 'a/./b', 'a/..', '', 'a\0b'])(
    'that names %j, which is not below the data directory, is nothing (I10)',
    (path) => expect(parseLine(toLine({ path, content: '' }).trimEnd())).toBeUndefined(),
  );
});

describe('writing to the log', () => {
  it('is durable when it resolves, and all that wait share one write and one sync', async () => {
    await write('first');
    const before = count('sync');
    await Promise.all(Array.from({ length: 200 }, (_, n) => write(`f${n}`)));
    expect(durable()).toHaveLength(201);
    expect(count('sync') - before).toBeLessThanOrEqual(2);
    expect(count('write')).toBeLessThanOrEqual(3);
  });

  it('that fails is refused, it alone: what was written before and after it is there, and of it nothing', async () => {
    await write('before');
    for (const [operation, code] of [
      ['write', 'ENOSPC'],
      ['sync', 'EIO'],
    ] as const) {
      faults = { [operation]: [code] };
      const refused = await Promise.allSettled([write('refused-1'), write('refused-2')]);
      expect(refused.map((result) => result.status)).toContain('rejected');
      await write(`after-${operation}`);
    }
    const names = durable();
    expect(names).toEqual(expect.arrayContaining(['before', 'after-write', 'after-sync']));
    expect(names).not.toContain('refused-1');
  });

  it('that fails, and cannot be cut off either, is not followed by another until it is', async () => {
    await write('before');
    faults = { sync: ['EIO'], truncate: ['EIO', 'EIO'] };
    await expect(write('refused')).rejects.toThrow('EIO');
    await expect(write('also')).rejects.toThrow('EIO');
    await expect(log.seal()).rejects.toThrow('EIO');
    await write('after');
    expect(durable()).toEqual(['before', 'after']);
  });

  it('that failed last is cut off, durably, before the segment ends', async () => {
    await write('before');
    faults = { sync: ['EIO'] };
    await expect(write('refused')).rejects.toThrow('EIO');
    await log.seal();
    await write('later');
    expect(durable()).toEqual(['before']);
    expect(disk.contents()['/data/.wal/0000000007.log']).toBe(toLine({ path: 'before', content: 'before' }));
    expect(durable('0000000008')).toEqual(['later']);
  });

  it('while no segment can be begun is refused, and goes on when one can', async () => {
    faults = { create: ['ENOSPC'], syncDirectory: ['EIO'] };
    await expect(write('a')).rejects.toThrow('ENOSPC');
    await expect(write('b')).rejects.toThrow('EIO');
    await write('c');
    expect(Object.keys(disk.contents())).toEqual(['/data/.wal/0000000009.log']);
  });

  it('to a file that somebody removed goes to a new one, and the old one is handed over', async () => {
    await write('before');
    await disk.files.removeTree('/data/.wal');
    await write('after');
    expect(durable('0000000008')).toEqual(['after']);
    expect(sealed.map((segment) => [...segment.paths])).toEqual([['before']]);
  });

  it('of more than fits in one write goes in several, in its order', async () => {
    const large = 'x'.repeat(5 * 1024 * 1024);
    await Promise.all(['a', 'b', 'c'].map((name) => write(name, large)));
    expect(durable().concat(durable('0000000008'), durable('0000000009'))).toEqual(['a', 'b', 'c']);
    expect(count('write')).toBe(3);
  });
});

describe('a segment of the log', () => {
  it('ends at its size, and is handed over with what it names', async () => {
    for (let n = 0; n < 5; n += 1) (await write(`f${n}`, 'x'.repeat(3_000)))();
    await log.seal();
    expect(sealed.map((segment) => [...segment.paths])).toEqual([['f0', 'f1', 'f2', 'f3'], ['f4']]);
    expect(sealed[0]).toMatchObject({ file: '/data/.wal/0000000007.log', applying: 0 });
  });

  it('ends at its age, and one that cannot end then, a while later', async () => {
    await write('a');
    faults = { sync: ['EIO'], truncate: ['EIO'] };
    await write('b').catch(() => undefined);
    clock.advance(60_000);
    await until('it was tried', () => count('truncate') === 1);
    await until('it is to be tried again', () => clock.timerCount === 1);
    clock.advance(60_000);
    await until('it has ended', () => sealed.length === 1);
    expect(clock.timerCount).toBe(0);
    expect(log.names('a')).toBe(false);
  });

  it('counts what is not yet as it says', async () => {
    const [applied] = await Promise.all([write('a'), write('b')]);
    expect(log.names('a')).toBe(true);
    await log.seal();
    expect(sealed[0]?.applying).toBe(2);
    applied();
    expect(sealed[0]?.applying).toBe(1);
  });
});
