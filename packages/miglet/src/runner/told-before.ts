/** What an earlier process of the MIGlet has told of a runner: by the journal, by the note, by the output. */
import { toRfc3339 } from '@mig/common/clock';
import type { RunnerNews } from './job-watch.js';
import { parseRunnerLine, type RunnerLine } from './output.js';
import { headOf, type RunnerNote } from './runner-note.js';
import { tailFile } from './tail.js';

/** Is it in the journal already? What is told and not yet sent is there (I4). */
export function isTold(
  news: RunnerNews,
  processName: string,
  isIn: (type: string, key: string, value: string) => boolean,
): boolean {
  switch (news.type) {
    case 'job.started':
      return isIn('job_started', 'job_id', news.job.jobId);
    case 'job.finished':
      return isIn('job_completed', 'job_id', news.job.jobId);
    case 'runner.disconnected':
      return isIn('runner_disconnected', 'at', toRfc3339(news.at));
    case 'runner.reconnected':
      return isIn('runner_reconnected', 'at', toRfc3339(news.at));
    case 'runner.hung':
      return isIn('runner_hung', 'process', processName);
    case 'runner.updating':
      return isIn('runner_updating', 'process', processName);
    case 'runner.listening':
    case 'job.described':
      return false;
  }
}

/** Where to read on: after what is noted, unless the file was emptied since. */
export function placeOf({ offset, head }: RunnerNote, file: string): number {
  if (offset === 0) return 0;
  return headOf(file, head.bytes).sha256 === head.sha256 ? offset : 0;
}

/**
 * Nobody knows what was told: all of it is taken as told but the last job, which is told again rather than never.
 * @returns how many lines that say something come before it
 */
export function countLinesBeforeLastJob(file: string): number {
  const kinds: RunnerLine['kind'][] = [];
  const reader = tailFile(
    file,
    (text) => {
      const line = parseRunnerLine(text);
      if (line !== undefined) kinds.push(line.kind);
    },
    { manual: true },
  );
  reader.read();
  reader.stop();
  const last = kinds.lastIndexOf('jobStarted');
  return last === -1 ? kinds.length : last;
}
