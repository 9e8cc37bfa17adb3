import { describe, expect, it } from '@jest/globals';
import { parseRunnerLine } from './output.js';

const AT = '2026-07-01 09:30:00Z: ';
const AT_MS = Date.parse('2026-07-01T09:30:00Z');
const TRACE = '[RUNNER 2026-07-01 09:30:00Z INFO ';

describe("the listener's lines", () => {
  it.each([
    [`${AT}Listening for Jobs`, { kind: 'listening', at: AT_MS }],
    [`${AT}Running job: build`, { kind: 'jobStarted', name: 'build', at: AT_MS }],
    [
      `${AT}Running job: build (ubuntu, 20.x)`,
      { kind: 'jobStarted', name: 'build (ubuntu, 20.x)', at: AT_MS },
    ],
    [
      `${AT}Job build completed with result: Succeeded`,
      { kind: 'jobCompleted', name: 'build', result: 'Succeeded', at: AT_MS },
    ],
    [
      `${AT}Job a b completed with result: Canceled`,
      { kind: 'jobCompleted', name: 'a b', result: 'Canceled', at: AT_MS },
    ],
    [
      `${AT}Runner connect error: The operation was canceled.. Retrying until reconnected.`,
      { kind: 'disconnected', reason: 'The operation was canceled.', at: AT_MS },
    ],
    [
      `${AT}Runner connect error: Conflict. Retrying until reconnected.`,
      { kind: 'disconnected', reason: 'Conflict', at: AT_MS },
    ],
    [`${AT}Runner reconnected.`, { kind: 'reconnected', at: AT_MS }],
    ['A session for this runner already exists.', { kind: 'sessionConflict', at: 0 }],
    [
      'Failed to create a session. The runner registration has been deleted from the server, please re-configure. Runner registrations are automatically deleted for runners that have not connected to the service recently.',
      { kind: 'registrationDeleted', at: 0 },
    ],
    [
      'The runner no longer exists on the server. Cleaning up local configuration.',
      { kind: 'registrationGone', at: 0 },
    ],
    ['Runner update in progress, do not shutdown runner.', { kind: 'updating', at: 0 }],
    ['Exiting...', { kind: 'exiting', at: 0 }],
    [
      `${TRACE}BrokerMessageListener] Acknowledging runner request 'a-b-1'.`,
      { kind: 'acknowledged', requestId: 'a-b-1', at: AT_MS },
    ],
    [`${TRACE}Runner] Skipping message Job. Job was taken.`, { kind: 'skipped', at: AT_MS }],
  ])('%s says what it says', (line, expected) => {
    expect(parseRunnerLine(line)).toEqual(expected);
  });

  it.each([
    '',
    'Listening for Jobs',
    '√ Connected to GitHub',
    `${AT}Listening for Jobs and more`,
    ` ${AT}Listening for Jobs`,
    `${AT}Job build completed with result: `,
    'step output: 2026-07-01 09:30:00Z: Running job: x',
    ' Exiting...',
    'Exiting... or not',
    'Is it? The runner no longer exists on the server.',
  ])('%j says nothing of this', (line) => {
    expect(parseRunnerLine(line)).toBeUndefined();
  });

  it.each([
    `${AT}Listening for Jobs`,
    `${AT}Running job: build`,
    `${AT}Job build completed with result: Succeeded`,
    `${AT}Runner connect error: x. Retrying until reconnected.`,
    `${AT}Runner reconnected.`,
    'A session for this runner already exists.',
    'The runner no longer exists on the server. Cleaning up local configuration.',
    'Runner update in progress, do not shutdown runner.',
    'Exiting...',
  ])('%s, which is there a second time in the log of the terminal, counts once', (line) => {
    expect(parseRunnerLine(`${TRACE}Terminal] WRITE LINE: ${line}`)).toBeUndefined();
    expect(parseRunnerLine(`${TRACE}Terminal] WRITE ERROR: ${line}`)).toBeUndefined();
  });

  it.each([
    `[WORKER 2026-07-01 09:30:00Z INFO BrokerMessageListener] Acknowledging runner request 'x'.`,
    `[WORKER 2026-07-01 09:30:00Z INFO StepsRunner] ${AT}Listening for Jobs`,
    `[WORKER 2026-07-01 09:30:00Z INFO ProcessInvoker] Exiting...`,
    `[RUNNER 2026-07-01 09:30:00Z INFO JobDispatcher] Acknowledging runner request 'x'.`,
    `[RUNNER 2026-07-01 09:30:00Z INFO BrokerMessageListener] Acknowledging runner request 'x'. And more`,
    `[RUNNER 2026-07-01 09:30:00Z INFO Runner] ${AT}Running job: x`,
    `##[group]Run echo "${AT}Running job: x"`,
    `  ${AT}Job x completed with result: Succeeded`,
  ])('what a job prints, as the worker passes it on, is nothing: %s', (line) => {
    expect(parseRunnerLine(line)).toBeUndefined();
  });

  it('a job whose name looks like another line does not deceive it', () => {
    const name = 'Job x completed with result: Failed';
    expect(parseRunnerLine(`${AT}Running job: ${name}`)).toMatchObject({ kind: 'jobStarted', name });
    expect(parseRunnerLine(`${AT}Job ${name} completed with result: Succeeded`)).toEqual({
      kind: 'jobCompleted',
      name,
      result: 'Succeeded',
      at: AT_MS,
    });
    for (const hostile of ['Listening for Jobs', 'Exiting...', `${AT}Listening for Jobs`]) {
      expect(parseRunnerLine(`${AT}Running job: ${hostile}`)).toMatchObject({
        kind: 'jobStarted',
        name: hostile,
      });
    }
  });
});
