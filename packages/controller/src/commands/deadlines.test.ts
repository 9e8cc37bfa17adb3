import { describe, expect, it } from '@jest/globals';
import { createParts, settled } from '../parts.contract.js';
import { createMemoryStore } from '../store/memory-store.contract.js';

const HOUR_MS = 3_600_000;

describe('deadlines and a wall clock that jumps (I3)', () => {
  it.each([24 * HOUR_MS, -24 * HOUR_MS])(
    'a jump of %d ms neither ends a command nor keeps it',
    async (jumpMs) => {
      const { clock, queue, submit } = createParts();
      const { id } = await submit();
      clock.setNow(clock.now() + jumpMs);
      queue.sweep();
      clock.advance(HOUR_MS - 1);
      queue.sweep();
      expect(queue.get(id).state).toBe('queued');
      clock.advance(1);
      queue.sweep();
      expect(queue.get(id).state).toBe('expired');
    },
  );

  it('the VM is told what is left by the monotonic clock', async () => {
    const parts = createParts();
    await parts.submit({ executionDeadlineMs: 2 * HOUR_MS });
    parts.clock.setNow(parts.clock.now() + 10 * HOUR_MS);
    parts.clock.advance(HOUR_MS / 2);
    const link = parts.connect();
    parts.delivery.attach('vm-1');
    await settled();
    expect(link.commands()).toMatchObject([{ startWithinMs: 1.5 * HOUR_MS }]);
  });

  it('a controller that starts again judges by the deadlines of the record', async () => {
    const before = createParts();
    const { id } = await before.submit();
    const after = createParts({
      store: createMemoryStore({ commands: [...before.store.commands.values()] }),
    });
    after.clock.advance(HOUR_MS);
    after.queue.sweep();
    expect(after.queue.get(id).state).toBe('expired');
  });
});
