import { describe, expect, it } from '@jest/globals';
import { createParts, settled } from '../parts.contract.js';
import { createControllerEvents } from './controller-events.js';
import { createCordons } from './cordon.js';
import { createEventLog } from './event-log.js';

function createWorld(managesRunners = true) {
  const parts = createParts();
  const { store, feed, fleet, clock, log } = parts;
  const events = createEventLog(store, feed, (event) => fleet.apply(event), log.logger);
  const changed: string[] = [];
  const cordons = createCordons({
    fleet,
    events: createControllerEvents({ events, clock, logger: log.logger }),
    clock,
    logger: log.logger,
    onChange: (vmId) => changed.push(vmId),
    managesRunners,
  });
  parts.connect();
  return {
    ...parts,
    cordons,
    changed,
    cordon: () => fleet.get('vm-1')?.record.cordon,
    told: () => store.storedEvents.map(({ type, via, data }) => ({ type, via, ...data })),
  };
}

describe('a cordon', () => {
  it('is durable before its caller hears of it, and is an event', async () => {
    const { cordons, store, clock, told, changed } = createWorld();
    const release = store.hold();
    let heard = false;
    const cordoned = cordons.cordon('vm-1', 'disk', 'operator').then(() => (heard = true));
    await settled();
    expect(heard).toBe(false);
    release();
    await cordoned;
    expect(store.vms.get('vm-1')?.cordon).toEqual({ reason: 'disk', by: 'operator', at: clock.now() });
    expect(told()).toEqual([
      expect.objectContaining({ type: 'vm_cordoned', via: 'controller', reason: 'disk', by: 'operator' }),
    ]);
    expect(changed).toEqual(['vm-1']);
  });

  it('again with another reason replaces the reason, and holds since the first; with the same it changes nothing', async () => {
    const { cordons, clock, cordon, told } = createWorld();
    const at = clock.now();
    await cordons.cordon('vm-1', 'disk', 'operator');
    clock.advance(1_000);
    await cordons.cordon('vm-1', 'disk', 'operator');
    expect(told()).toHaveLength(1);
    await cordons.cordon('vm-1', 'network', 'another');
    expect(cordon()).toEqual({ reason: 'network', by: 'another', at });
    expect(told()).toHaveLength(2);
  });

  it('that is lifted is an event; lifted again it is nothing', async () => {
    const { cordons, cordon, told, changed } = createWorld();
    await cordons.cordon('vm-1', '', 'operator');
    await cordons.uncordon('vm-1', 'operator');
    await cordons.uncordon('vm-1', 'operator');
    expect(cordon()).toBeUndefined();
    expect(told().map(({ type }) => type)).toEqual(['vm_cordoned', 'vm_uncordoned']);
    expect(changed).toHaveLength(2);
  });

  it('that cannot be stored is refused, and is not there', async () => {
    const { cordons, cordon, store, told } = createWorld();
    await settled();
    store.failNext(2);
    await expect(cordons.cordon('vm-1', 'disk', 'operator')).rejects.toThrow('disk full');
    expect(cordon()).toBeUndefined();
    await cordons.cordon('vm-1', 'disk', 'operator');
    store.failNext(2);
    await expect(cordons.uncordon('vm-1', 'operator')).rejects.toThrow('disk full');
    expect(cordon()).toMatchObject({ reason: 'disk' });
    expect(told()).toHaveLength(1);
  });

  it('and its lifting take effect in the order in which they were asked for', async () => {
    const { cordons, cordon } = createWorld();
    const asked = [
      cordons.cordon('vm-1', 'a', 'operator'),
      cordons.uncordon('vm-1', 'operator'),
      cordons.cordon('vm-1', 'b', 'operator'),
    ];
    await Promise.all(asked);
    expect(cordon()).toMatchObject({ reason: 'b' });
  });

  it('without a GitHub says that it holds back registrations only', async () => {
    const { cordons, told, log } = createWorld(false);
    await cordons.cordon('vm-1', '', 'operator');
    expect(told()[0]).toMatchObject({
      effect: expect.stringContaining('no GitHub is configured') as unknown,
    });
    expect(log.text()).toContain('no GitHub is configured');
  });
});
