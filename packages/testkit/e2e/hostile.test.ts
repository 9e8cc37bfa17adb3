/**
 * A hostile VM, and somebody without any credential, against the controller as it is run, with its default limits: everything that
 * `npm run hostile` knows, at once, for a few seconds. How long others wait for their commands is measured by that, not here.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Report } from '@mig/testkit/reliability/report';
import { ROOT, run, type Finished } from './system.js';

const HOSTILE = path.join(ROOT, 'packages', 'testkit', 'dist', 'hostile', 'main.js');
/** It is about time, which is for a machine that does nothing else. */
const IS_TIMED = /p99/;

let folder = '';
let finished: Finished;
let report: Report;
beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-hostile-'));
  const file = path.join(folder, 'report.json');
  const size = ['--vms', '10', '--rate', '20', '--seconds', '4', '--rounds', '1'];
  finished = await run(HOSTILE, ['--only', 'combined', ...size, '--json', file]).finished;
  report = JSON.parse(readFileSync(file, 'utf8')) as Report;
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const figures = (pattern: RegExp): Record<string, number> =>
  Object.fromEntries(
    report.parts
      .flatMap((part) => part.figures)
      .filter(({ name }) => pattern.test(name))
      .map(({ name, value }) => [name, Number(value)]),
  );

describe('a VM that does everything that it should not', () => {
  test('keeps no command from any other VM, cuts none of their streams, and brings the controller neither down nor to 5xx, nor up in memory', () => {
    const verdicts = report.parts.flatMap((part) => part.verdicts).filter(({ promise }) => !IS_TIMED.test(promise));
    expect({ stderr: finished.stderr, count: verdicts.length }).toEqual({ stderr: '', count: 4 });
    expect(verdicts.filter(({ held }) => !held)).toEqual([]);
  });

  test('is told by 429 and RESOURCE_EXHAUSTED', () => {
    const answers = figures(/^attacker: .*: (429|gRPC 8)$/);
    expect(Object.keys(answers).some((name) => name.endsWith('429'))).toBe(true);
    expect(Object.keys(answers).some((name) => name.endsWith('gRPC 8'))).toBe(true);
  });

  test('is refused before anything of it is read from then on; strangers wait at the door; all of it is counted', () => {
    const reached = figures(/^limit reached: /);
    for (const limit of ['penalties', 'connections_delayed', 'cut'])
      expect({ limit, count: reached[`limit reached: ${limit}`] ?? 0 }).toEqual({ limit, count: expect.any(Number) });
    expect(reached['limit reached: penalties']).toBeGreaterThan(0);
    expect(reached['limit reached: connections_delayed']).toBeGreaterThan(0);
  });
});
