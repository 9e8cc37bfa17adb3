import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { createTestLog, type TestLog } from '../../test-log.contract.js';
import { createCheckpoint, type Checkpoint } from './checkpoint.js';
import { createSegment, noteEntry, type Segment } from './log-segment.js';
import { createMemoryDisk, type FaultCode, type MemoryDisk } from './memory-disk.contract.js';

const MIB = 1024 * 1024;

let disk: MemoryDisk;
let clock: ManualClock;
let log: TestLog;
let checkpoint: Checkpoint;
let settled: string[];
let namedAgain: Set<string>;
let operations: string[];
let fault: FaultCode | undefined;

beforeEach(async () => {
  disk = createMemoryDisk(() => 0);
  clock = createManualClock();
  log = createTestLog();
  settled = [];
  operations = [];
  namedAgain = new Set();
  fault = undefined;
  await disk.files.makeDirectory('/data/.wal');
  await disk.files.makeDirectory('/data/vm-1/commands');
  disk.setFaults((operation, file) => {
    operations.push(`${operation} ${file}`);
    return operation === 'syncDirectory' ? fault : undefined;
  });
  checkpoint = createCheckpoint(
    {
      files: disk.files,
      clock,
      logger: log.logger,
      settle: async (file) => void settled.push(file),
      isNamedAgain: (name) => namedAgain.has(name),
    },
    '/data',
  );
});
afterEach(() => checkpoint.finish());

async function segmentOf(number: number, paths: readonly string[], bytes = 10): Promise<Segment> {
  const segment = createSegment(`/data/.wal/000000000${number}.log`);
  await disk.files.writeText(segment.file, 'x', true);
  for (const name of paths) noteEntry(segment, name)();
  segment.bytes = bytes;
  return segment;
}
const logFiles = () => Object.keys(disk.contents()).map((file) => file.replace('/data/.wal/', ''));
const dropped = () => until('every segment is dropped', () => logFiles().length === 0);

describe('dropping a segment of the log', () => {
  it('comes after its files and the directories above them are synced, each once', async () => {
    const segment = await segmentOf(1, ['vm-1/vm.json', 'vm-1/commands/a.json', 'vm-1/vm.json']);
    operations = [];
    checkpoint.add(segment);
    await dropped();
    expect(settled.sort()).toEqual(['/data/vm-1/commands/a.json', '/data/vm-1/vm.json']);
    expect(operations).toEqual([
      'syncDirectory /data/vm-1',
      'syncDirectory /data',
      'syncDirectory /data/vm-1/commands',
      'remove /data/.wal/0000000001.log',
      'syncDirectory /data/.wal',
    ]);
  });

  it('leaves to a later segment what that names too', async () => {
    namedAgain.add('c');
    checkpoint.add(await segmentOf(1, ['a', 'b', 'c']));
    checkpoint.add(await segmentOf(2, ['b']));
    await dropped();
    expect(settled.filter((file) => file === '/data/b').length).toBeLessThanOrEqual(2);
    expect(settled).not.toContain('/data/c');
    expect(settled).toContain('/data/a');
  });

  it('waits until its files are as it says', async () => {
    const segment = await segmentOf(1, []);
    const applied = noteEntry(segment, 'a');
    checkpoint.add(segment);
    checkpoint.add(await segmentOf(2, []));
    await new Promise((resolve) => setImmediate(resolve));
    expect(logFiles()).toHaveLength(2);
    expect(settled).toEqual([]);
    applied();
    await dropped();
    expect(settled).toEqual(['/data/a']);
  });

  it('keeps one that was damaged, under another name', async () => {
    const segment = await segmentOf(1, ['a']);
    segment.damaged = true;
    checkpoint.add(segment);
    await until('it has another name', () => logFiles()[0] === '0000000001.log.bad');
  });

  it('that cannot be, because a sync fails, is tried again; the later ones wait behind it', async () => {
    fault = 'EIO';
    checkpoint.add(await segmentOf(1, ['a']));
    checkpoint.add(await segmentOf(2, ['b']));
    await until('it is told', () => log.text().includes('the log is kept, and it is tried again'));
    expect(logFiles()).toHaveLength(2);
    fault = undefined;
    clock.advance(10_000);
    await dropped();
  });

  it('does not hold up the end: what cannot be dropped is kept for the next opening', async () => {
    fault = 'EIO';
    checkpoint.add(await segmentOf(1, ['a']));
    await checkpoint.finish();
    expect(logFiles()).toEqual(['0000000001.log']);
    expect(clock.timerCount).toBe(0);
    fault = undefined;
  });
});

describe('the end', () => {
  it('waits five seconds for what is to be synced; the rest stays in the log, for the next opening', async () => {
    const waiting: (() => void)[] = [];
    const slow = createCheckpoint(
      {
        files: disk.files,
        clock,
        logger: log.logger,
        settle: () => new Promise((resolve) => waiting.push(resolve)),
        isNamedAgain: () => false,
      },
      '/data',
    );
    slow.add(
      await segmentOf(
        1,
        Array.from({ length: 1_000 }, (_, n) => `f${n}`),
      ),
    );
    const finished = slow.finish();
    await until('it syncs', () => waiting.length > 0);
    clock.advance(5_000);
    const release = setInterval(() => waiting.forEach((resolve) => resolve()), 1);
    await finished;
    clearInterval(release);
    expect(waiting.length).toBeLessThan(100);
    expect(logFiles()).toEqual(['0000000001.log']);
    expect(clock.timerCount).toBe(0);
  });
});

describe('the room of the log (I12)', () => {
  it('is there up to 256 MiB; above it writes wait until a segment is dropped', async () => {
    checkpoint.add(await segmentOf(1, [], 250 * MIB));
    await checkpoint.room();
    const segment = await segmentOf(2, [], 200 * MIB);
    const applied = noteEntry(segment, 'a');
    checkpoint.add(segment);
    checkpoint.add(await segmentOf(3, [], 100 * MIB));
    let hasRoom = false;
    const room = checkpoint.room().then(() => (hasRoom = true));
    await until('the first is dropped', () => logFiles().length === 2);
    expect(hasRoom).toBe(false);
    applied();
    await room;
  });

  it('is refused, with the reason, when the segments cannot be dropped; and there again when they can', async () => {
    fault = 'EIO';
    checkpoint.add(await segmentOf(1, [], 300 * MIB));
    await expect(checkpoint.room()).rejects.toThrow(
      /^the log is full, and cannot be brought to the files: EIO/,
    );
    fault = undefined;
    clock.advance(10_000);
    await checkpoint.room();
    await dropped();
  });
});
