import { describe, expect, it } from '@jest/globals';
import { parseRunnerLine } from './output.js';

const AT = '2026-07-01 09:30:00Z: ';
const AT_MS = Date.parse('2026-07-01T09:30:00Z');

describe("the listener's lines", () => {
  it.each([
    [`${AT}Listening for Jobs`, { kind: 'listening' }],
    [`${AT}Running job: build`, { kind: 'jobStarted', name: 'build', at: AT_MS }],
    [
      `${AT}Running job: build (ubuntu, 20.x)`,
      { kind: 'jobStarted', name: 'build (ubuntu, 20.x)', at: AT_MS },
    ],
    [
      `${AT}Job build completed with result: Succeeded`,
      { kind: 'jobCompleted', name: 'build', result: 'Succeeded' },
    ],
    [
      `${AT}Job build completed with result: Failed`,
      { kind: 'jobCompleted', name: 'build', result: 'Failed' },
    ],
    [
      `${AT}Job a b completed with result: Canceled`,
      { kind: 'jobCompleted', name: 'a b', result: 'Canceled' },
    ],
  ])('%s says what it says', (line, expected) => {
    expect(parseRunnerLine(line)).toEqual(expected);
  });

  it.each([
    '',
    'Listening for Jobs',
    '√ Connected to GitHub',
    `${AT}Listening for Jobs and more`,
    ` ${AT}Listening for Jobs`,
    `${AT}Runner reconnected.`,
    `${AT}Job build completed with result: `,
    'step output: 2026-07-01 09:30:00Z: Running job: x',
  ])('%j says nothing of this', (line) => {
    expect(parseRunnerLine(line)).toBeUndefined();
  });

  it('a job whose name looks like another line does not deceive it', () => {
    const name = 'Job x completed with result: Failed';
    expect(parseRunnerLine(`${AT}Running job: ${name}`)).toMatchObject({ kind: 'jobStarted', name });
    expect(parseRunnerLine(`${AT}Job ${name} completed with result: Succeeded`)).toEqual({
      kind: 'jobCompleted',
      name,
      result: 'Succeeded',
    });
    expect(parseRunnerLine(`${AT}Running job: Listening for Jobs`)).toEqual({
      kind: 'jobStarted',
      name: 'Listening for Jobs',
      at: AT_MS,
    });
  });
});
