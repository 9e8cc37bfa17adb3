/** What gets into the log of several contents of one file, and when. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import type { LogEntry } from './log-entry.js';
import { createRecording, type Recording } from './recording.js';

let clock: ManualClock;
/** What waits for the next batch of the log. */
let waiting: {
  entry: () => LogEntry;
  onLogged: () => void;
  resolve: () => void;
  reject: (error: Error) => void;
}[];
/** What the log has. */
let logged: string[];
let told: string[];
let recording: Recording;

beforeEach(() => {
  clock = createManualClock();
  waiting = [];
  logged = [];
  told = [];
  recording = createRecording({
    log: {
      append: (entry, onLogged) =>
        new Promise((resolve, reject) =>
          waiting.push({
            entry,
            onLogged: () => onLogged?.(),
            resolve: () => resolve(() => undefined),
            reject,
          }),
        ),
    },
    clock,
    nameOf: (file) => file,
    onLogged: (file, content, place) => told.push(`${file}=${content} ${place}`),
  });
});

const take = () => {
  const batch = waiting;
  waiting = [];
  for (const { entry } of batch) {
    const { path, ...rest } = entry();
    logged.push(`${path}=${'content' in rest ? rest.content : ''}`);
  }
  return batch;
};
async function write(batch = take()): Promise<void> {
  for (const each of batch) {
    each.onLogged();
    each.resolve();
  }
  await Promise.resolve();
}
const add = (file: string, content: string, isLazy = false) =>
  recording.add(file, () => content, { place: 'later', isLazy });

describe('a record', () => {
  it('that comes before the one ahead of it is written takes its place; both are told when it is there', async () => {
    const both = Promise.all([add('a', '1'), add('b', '1'), add('a', '2')]);
    expect(recording.size).toBe(2);
    await write();
    await both;
    expect(logged).toEqual(['a=2', 'b=1']);
    expect(told).toEqual(['a=2 later', 'b=1 later']);
    expect(recording.has('a')).toBe(false);
  });

  it('that comes while the one ahead of it is being written is written after it', async () => {
    const first = add('a', '1');
    const batch = take();
    const second = add('a', '2');
    await write(batch);
    await first;
    expect(recording.has('a')).toBe(true);
    await write();
    await second;
    expect(logged).toEqual(['a=1', 'a=2']);
  });

  it('that can wait waits for the next of its file, a moment at most, or until something has to come after it', async () => {
    void add('a', '1', true);
    void add('b', '1', true);
    void add('vm/c', '1', true);
    expect(waiting).toHaveLength(0);
    void add('a', '2');
    await write();
    expect(logged).toEqual(['a=2']);
    recording.hurryAll('vm/');
    await write();
    expect(logged).toEqual(['a=2', 'vm/c=1']);
    clock.advance(200);
    await write();
    expect(logged).toEqual(['a=2', 'vm/c=1', 'b=1']);
    void add('d', '1', true);
    recording.hurry('d');
    await write();
    expect(logged.at(-1)).toBe('d=1');
  });

  it('that cannot be written is refused to all who wait for it, and the next is tried anew', async () => {
    const both = [add('a', '1', true), add('a', '2')];
    const batch = take();
    for (const { reject } of batch) reject(new Error('full'));
    for (const each of both) await expect(each).rejects.toThrow('full');
    expect(recording.has('a')).toBe(false);
    const next = add('a', '3');
    await write();
    await next;
    expect(told).toEqual(['a=3 later']);
  });

  it('that waits is written when all is to be idle', async () => {
    void add('a', '1', true);
    const idle = recording.idle();
    await write();
    await idle;
    expect(logged).toEqual(['a=1']);
    expect(clock.timerCount).toBe(0);
  });
});
