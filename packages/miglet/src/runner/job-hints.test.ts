import { appendFileSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { discardHints, parseJobHint, tailHints, type JobHint } from './job-hints.js';

const LINE = {
  hook: 'started',
  at: '2026-07-01T09:30:00Z',
  repository: 'acme/app',
  run_id: '123',
  run_attempt: '2',
  sha: 'a'.repeat(40),
  ref_name: 'feature/x',
  job: 'build',
  workflow: 'CI',
  runner_name: 'vm-1',
};

describe('a hint', () => {
  it('says what the hook knows', () => {
    expect(parseJobHint(JSON.stringify(LINE))).toEqual({
      hook: 'started',
      at: Date.parse('2026-07-01T09:30:00Z'),
      facts: {
        repository: 'acme/app',
        runId: '123',
        runAttempt: '2',
        commit: 'a'.repeat(40),
        branch: 'feature/x',
      },
      runnerName: 'vm-1',
    });
  });

  it.each([
    'no json',
    '{}',
    'null',
    '[]',
    '{"hook":"exploded"}',
    JSON.stringify({ ...LINE, hook: 1 }),
    JSON.stringify({ ...LINE, ref_name: 'x'.repeat(10_000) }),
  ])('%.40s is none', (line) => {
    expect(parseJobHint(line)).toBeUndefined();
  });

  it('keeps of what any job may write only what can be', () => {
    const hostile = {
      hook: 'completed',
      at: 'yesterday',
      repository: '../../etc/passwd',
      run_id: '1; rm',
      run_attempt: {},
      sha: 'HEAD',
      ref_name: 7,
      runner_name: ['x'],
    };
    expect(parseJobHint(JSON.stringify(hostile))).toEqual({
      hook: 'completed',
      at: 0,
      facts: { repository: '', runId: '', runAttempt: '', commit: '', branch: '' },
      runnerName: '',
    });
  });
});

describe("the hooks' file", () => {
  let folder: string;
  let file: string;
  let hints: JobHint[];
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'mig-hints-'));
    file = path.join(folder, 'hints');
    hints = [];
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const follow = () => tailHints(file, (hint) => void hints.push(hint));

  it('is read when it is asked for', () => {
    writeFileSync(file, '');
    const tail = follow();
    appendFileSync(file, `${JSON.stringify(LINE)}\nrubbish\n`);
    expect(hints).toEqual([]);
    tail.read();
    expect(hints).toHaveLength(1);
    tail.stop();
  });

  it('that a job has filled is emptied, unread (I12)', () => {
    writeFileSync(file, '');
    const tail = follow();
    appendFileSync(file, `${JSON.stringify(LINE)}\n`.repeat(10_000));
    tail.read();
    expect([hints, statSync(file).size]).toEqual([[], 0]);
    tail.stop();
  });

  it('that is not there, or a folder, says nothing, and breaks nothing', () => {
    follow().read();
    mkdirSync(file);
    const tail = follow();
    tail.read();
    discardHints(file);
    discardHints(path.join(folder, 'nothing'));
    expect(hints).toEqual([]);
  });
});
