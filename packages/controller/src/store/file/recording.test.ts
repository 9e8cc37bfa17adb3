/** What gets into the log of several contents of one file, and when. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { textOf } from './log-entry.js';
import { createRecording, type Recording } from './recording.js';
import type { LogRequest } from './write-ahead-log.js';

/** What waits for the next batch of the log. */
let waiting: LogRequest[];
/** What the log has. */
let logged: string[];
let told: string[];
let recording: Recording;

beforeEach(() => {
  waiting = [];
  logged = [];
  told = [];
  recording = createRecording({
    log: { enter: (request) => void waiting.push(request) },
    nameOf: (file) => file,
    onLogged: (file, content, place) => told.push(`${file}=${textOf(content)} ${place}`),
  });
});

const take = () => {
  const batch = waiting;
  waiting = [];
  for (const { entry } of batch) {
    const { path, ...rest } = entry();
    logged.push(`${path}=${'content' in rest ? textOf(rest.content) : ''}`);
  }
  return batch;
};
function write(batch = take()): void {
  for (const { onLogged } of batch) onLogged(() => undefined);
}
const add = (file: string, content: string) => recording.add(file, () => content, 'later');

describe('a record', () => {
  it('that comes before the one ahead of it is written takes its place; both are told when it is there', async () => {
    const both = Promise.all([add('a', '1'), add('b', '1'), add('a', '2')]);
    expect(recording.size).toBe(2);
    write();
    await both;
    expect(logged).toEqual(['a=2', 'b=1']);
    expect(told).toEqual(['a=2 later', 'b=1 later']);
    expect(recording.has('a')).toBe(false);
  });

  it('that comes while the one ahead of it is being written is written after it', async () => {
    const first = add('a', '1');
    const batch = take();
    const second = add('a', '2');
    write(batch);
    await first;
    expect(recording.has('a')).toBe(true);
    write();
    await second;
    expect(logged).toEqual(['a=1', 'a=2']);
  });

  it('that cannot be written is refused to all who wait for it, and the next is tried anew', async () => {
    const both = [add('a', '1'), add('a', '2')];
    const batch = take();
    for (const { onRefused } of batch) onRefused(new Error('full'));
    for (const each of both) await expect(each).rejects.toThrow('full');
    expect(recording.has('a')).toBe(false);
    const next = add('a', '3');
    write();
    await next;
    expect(told).toEqual(['a=3 later']);
  });

  it('is waited for until all are there', async () => {
    void add('a', '1');
    void add('b', '1');
    let isIdle = false;
    const idle = recording.idle().then(() => (isIdle = true));
    const [first, ...rest] = take();
    write(first === undefined ? [] : [first]);
    await Promise.resolve();
    expect(isIdle).toBe(false);
    write(rest);
    await idle;
    expect(recording.size).toBe(0);
  });
});
