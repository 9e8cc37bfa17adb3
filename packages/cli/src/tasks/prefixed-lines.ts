/** The output of several VMs on one terminal: whole lines, each with the name of its VM before it. */
import { StringDecoder } from 'node:string_decoder';
import type { Io } from '../io.js';
import { safe } from '../output/text.js';
import type { TaskSink } from './run-task.js';

export interface PrefixedLines extends TaskSink {
  /** Writes what has no end of line yet. */
  flush(): Promise<void>;
}

/** A line without an end is broken here, characters. */
const MAX_LINE = 16_384;

export function createPrefixedLines(io: Pick<Io, 'stdout' | 'stderr'>, prefix: string): PrefixedLines {
  const decoders = { stdout: new StringDecoder(), stderr: new StringDecoder() };
  const rests = { stdout: '', stderr: '' };
  const print = (stream: 'stdout' | 'stderr', lines: readonly string[]): void =>
    io[stream].write(lines.map((line) => `${prefix} | ${safe(line)}\n`).join(''));
  return {
    async write(stream, data) {
      const text = typeof data === 'string' ? data : decoders[stream].write(Buffer.from(data));
      const lines = (rests[stream] + text).split('\n');
      let rest = lines.pop() ?? '';
      for (; rest.length > MAX_LINE; rest = rest.slice(MAX_LINE)) lines.push(rest.slice(0, MAX_LINE));
      rests[stream] = rest;
      if (lines.length === 0) return;
      print(stream, lines);
      await io[stream].flush();
    },
    gap: (bytes) => print('stderr', [`${bytes} bytes of output are missing here`]),
    async flush() {
      for (const stream of ['stdout', 'stderr'] as const) {
        if (rests[stream] !== '') print(stream, [rests[stream]]);
        rests[stream] = '';
        await io[stream].flush();
      }
    },
  };
}
