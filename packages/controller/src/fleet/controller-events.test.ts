import { describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { createParts, settled } from '../parts.contract.js';
import { vmRecord } from '../store/samples.contract.js';
import { createControllerEvents } from './controller-events.js';
import { createEventLog } from './event-log.js';
import { reportSetAside } from './set-aside-events.js';

function createWorld() {
  const parts = createParts();
  const { store, feed, fleet, clock, log } = parts;
  const events = createEventLog(store, feed, (event) => fleet.apply(event), log.logger);
  const controllerEvents = createControllerEvents({ events, clock, logger: log.logger });
  return {
    ...parts,
    controllerEvents,
    enter: (n: number) => controllerEvents.enter(vmRecord(), 'vm_cordoned', { n: String(n) }),
    stored: () => store.storedEvents.map((event) => Number(event.data['n'])),
    async pass(seconds: number) {
      for (let n = 0; n < seconds; n += 1) {
        clock.advance(1_000);
        controllerEvents.sweep();
        await settled();
      }
    },
  };
}

describe('an event that the controller enters', () => {
  it('is stored at once, as its own', async () => {
    const { enter, store } = createWorld();
    await enter(1);
    expect(store.storedEvents).toMatchObject([
      { type: 'vm_cordoned', via: 'controller', sequence: 0, bootId: 'boot-1', data: { n: '1' } },
    ]);
  });

  it('that cannot be stored is tried again until it is, in its order, once', async () => {
    const { enter, store, stored, pass } = createWorld();
    store.failNext(5);
    await enter(1);
    await enter(2);
    expect(stored()).toEqual([]);
    await pass(30);
    expect(stored()).toEqual([1, 2]);
  });

  it('is given up, the oldest first and with a word, when a thousand wait (I12)', async () => {
    const { enter, store, stored, pass, log } = createWorld();
    store.failNext(1);
    for (let n = 1; n <= 1_002; n += 1) await enter(n);
    await pass(5);
    await until('all are stored', () => stored().length === 1_000);
    expect(stored()[0]).toBe(3);
    expect(
      log.lines().filter((line) => String(line['msg']).startsWith('an event was given up')),
    ).toHaveLength(2);
  });
});

describe('files that were set aside at opening', () => {
  it('are told in the history of their VM, known or not, and those of no VM in the log', async () => {
    const { controllerEvents, store, log, fleet } = createWorld();
    const file = (vmId: string | undefined, name: string) => ({
      vmId,
      file: name,
      setAsideAs: `${name}.bad`,
      reason: 'torn',
    });
    const files = [
      file('vm-1', 'commands/c.json'),
      file('vm-2', 'vm.json'),
      file(undefined, 'drains/d.json'),
    ];
    reportSetAside(files, {
      events: controllerEvents,
      logger: log.logger,
      vmOf: (vmId) => (vmId === 'vm-1' ? vmRecord() : undefined),
    });
    await settled();
    expect(store.storedEvents).toMatchObject([
      {
        vmId: 'vm-1',
        poolId: 'pool-a',
        type: 'file_set_aside',
        data: { file: 'commands/c.json', set_aside_as: 'commands/c.json.bad', reason: 'torn' },
      },
      { vmId: 'vm-2', poolId: '', type: 'file_set_aside' },
    ]);
    expect(log.lines().filter((line) => line['event'] === 'file_set_aside')).toHaveLength(3);
    // It is no word of the VM's.
    expect(fleet.list()).toEqual([]);
  });
});
