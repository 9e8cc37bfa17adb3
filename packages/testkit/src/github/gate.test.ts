/** The gate alone, around routes that answer what GitHub would not. */
import { describe, expect, it, jest } from '@jest/globals';
import { systemClock } from '@mig/common/clock';
import { createCallers } from './callers.js';
import { createDefectList, StandInDefectError } from './defects.js';
import { loadDescription } from './description/description.js';
import { createDirectory } from './directory.js';
import type { Answer, RawRequest, Route } from './exchange.js';
import { createFaultDesk } from './faults.js';
import { createGate } from './gate.js';
import { createRateLimits } from './rate-limit.js';
import { createSecondaryLimit } from './secondary-limit.js';
import { createViolationBook } from './violations.js';

const REQUEST: RawRequest = {
  method: 'GET',
  path: '/orgs/acme/actions/runners/1',
  query: new URLSearchParams(),
  headers: { 'user-agent': 'test', authorization: 'token secret' },
  body: undefined,
  origin: 'http://127.0.0.1',
  signal: new AbortController().signal,
};

async function pass(handle: () => Answer) {
  const route: Route = {
    name: 'get-runner',
    side: 'github',
    method: 'GET',
    path: '/orgs/{org}/actions/runners/{runner_id}',
    handle,
  };
  const defects = createDefectList();
  const silenced = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  const directory = createDirectory({ organizations: ['acme'] });
  const gate = createGate(
    {
      routes: [route],
      description: await loadDescription(),
      callers: createCallers({ tokens: ['secret'], app: undefined, directory }),
      faults: createFaultDesk({ onUnreachable: () => undefined }),
      rateLimits: createRateLimits(systemClock, {}),
      secondaryLimit: createSecondaryLimit(systemClock, {}),
      violations: createViolationBook(() => undefined),
      clock: systemClock,
      onDefect: (error) => defects.add(error),
    },
    { apiPrefix: '', exceededStatus: 403 },
  );
  const answer = await gate.pass(REQUEST);
  silenced.mockRestore();
  return { answer, defects };
}

describe('an answer of the stand-in that GitHub would not give', () => {
  it.each<[string, () => Answer]>([
    ['lacks what GitHub has', () => ({ status: 200, body: { id: 1, name: 'vm-1' } })],
    ['has a status that GitHub has not', () => ({ status: 203, body: {} })],
    [
      'is an exception',
      () => {
        throw new Error('a bug');
      },
    ],
  ])('because it %s is a defect, a 500, and the end of whatever is tested', async (_what, handle) => {
    const { answer, defects } = await pass(handle);
    expect(answer).toMatchObject({ status: 500 });
    expect(defects.list()).toHaveLength(1);
    expect(() => defects.assertNone()).toThrow(StandInDefectError);
  });

  it('is not one that is right', async () => {
    const runner = { id: 1, name: 'vm-1', os: 'linux', status: 'online', busy: false, labels: [] };
    const { answer, defects } = await pass(() => ({ status: 200, body: runner }));
    expect(answer).toMatchObject({ status: 200 });
    expect(() => defects.assertNone()).not.toThrow();
  });
});
