/** The log of calls that failed: whole for who looks, and not a disk's worth for who asks again and again. */
import { describe, expect, it } from '@jest/globals';
import { ServerError, Status } from 'nice-grpc';
import { createManualClock } from '../../../../common/src/manual-clock.contract.js';
import { createTestLog } from '../../test-log.contract.js';
import { createFailureLog } from './log-failures.js';

const METHOD = '/miglet.commands.CommandService/StreamCommands';

function start() {
  const clock = createManualClock();
  const log = createTestLog();
  const { failed } = createFailureLog(log.logger, clock);
  const refuse = (address: string, port: number): void =>
    void failed(new ServerError(Status.UNAUTHENTICATED, 'no'), {
      method: METHOD,
      peer: `${address}:${port}`,
    });
  return { clock, log, failed, refuse };
}

describe('calls that are refused again and again', () => {
  it('from one address, by whatever port, are logged five times in a minute, and then counted', () => {
    const { clock, log, refuse } = start();
    for (let port = 1_000; port < 2_000; port += 1) refuse('10.0.0.7', port);
    refuse('10.0.0.8', 1);
    expect(log.lines().filter(({ peer }) => String(peer).startsWith('10.0.0.7'))).toHaveLength(5);
    expect(log.lines().filter(({ peer }) => String(peer).startsWith('10.0.0.8'))).toHaveLength(1);
    clock.advance(60_000);
    expect(log.lines().at(-1)).toMatchObject({
      level: 'warn',
      address: '10.0.0.7',
      method: METHOD,
      status: 'UNAUTHENTICATED',
      repeated: 995,
    });
    expect(log.lines()).toHaveLength(7);
    expect(clock.timerCount).toBe(0);
    refuse('10.0.0.7', 1);
    expect(log.lines()).toHaveLength(8);
  });

  it('from ever new addresses are a hundred lines in a minute at most, and a thousand counts', () => {
    const { clock, log, refuse } = start();
    for (let index = 0; index < 3_000; index += 1) refuse(`10.${index >> 8}.${index & 255}.1`, 1);
    expect(log.lines()).toHaveLength(100);
    clock.advance(60_000);
    expect(log.lines().length).toBeLessThanOrEqual(1_101);
    const counted = log.lines().reduce((sum, { repeated }) => sum + Number(repeated ?? 0), 0);
    expect(counted).toBe(3_000 - 100);
  });

  it('are still answered: what fails unexpectedly by INTERNAL without its text', () => {
    const { log, failed } = start();
    for (let index = 0; index < 50; index += 1) {
      const told = failed(new Error('secret'), { method: METHOD, peer: '10.0.0.7:1' });
      expect(told).toMatchObject({ code: Status.INTERNAL, details: expect.not.stringContaining('secret') });
    }
    expect(log.lines()).toHaveLength(5);
  });
});
