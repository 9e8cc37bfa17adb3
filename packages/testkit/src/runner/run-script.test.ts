import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CLEAN, LISTENING, createRunnerGround, type RunnerGround } from './runner-ground.contract.js';

let ground: RunnerGround;
beforeEach(async () => {
  ground = await createRunnerGround();
});
afterEach(() => ground.close());

describe('run.sh', () => {
  it('hides the exit code of the listener', async () => {
    const child = ground.start(ground.runner.runScript, [], {
      ...(await ground.configureByJit()),
      STAND_IN_RUNNER_FAULT: 'exit:1',
    });
    expect(await child.exited).toEqual(CLEAN);
  });

  it('hands a signal on if it is told to', async () => {
    const env = { ...(await ground.configureByJit()), RUNNER_MANUALLY_TRAP_SIG: '1' };
    const child = ground.start(ground.runner.runScript, [], env);
    await child.waitForLine(LISTENING);
    child.kill('SIGTERM');
    expect((await child.exited).code).toBe(143);
    expect(child.lines).toContain('Exiting...');
  });
});
