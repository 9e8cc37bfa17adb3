import { describe, expect, test } from '@jest/globals';
import { createMigletStory } from './narrator.js';

/** What is said of these states, without colours, in the words before the first colon. */
function told(...states: string[]): string[] {
  const story = createMigletStory();
  return states.flatMap((to) => {
    const said = story({ event: 'state', to });
    // eslint-disable-next-line no-control-regex -- colours begin with an escape
    return said === undefined ? [] : [said.replaceAll(/\u001b\[\d+m/g, '')];
  });
}

const REGISTERING = ['registering.awaitingCommand', 'registering.configuring', 'registering.starting'];

describe('what the demo tells of a VM', () => {
  test('when it is registered for the first time, each step is told', () => {
    expect(told(...REGISTERING, 'ready.idle')).toHaveLength(4);
  });

  test('when it is registered anew after a job, it is told once that it waits again', () => {
    expect(told('ready.idle', 'ready.busy', 'ready.idle', ...REGISTERING, 'ready.idle')).toEqual([
      'ready: waits for a job',
      'ready: runs a job',
      'ready: waits for a job',
    ]);
  });
});
