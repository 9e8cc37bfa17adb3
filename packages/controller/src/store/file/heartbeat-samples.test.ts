import { describe, expect, it } from '@jest/globals';
import { createManualClock } from '../../../../common/src/manual-clock.contract.js';
import { vmRecord, vmReport } from '../samples.contract.js';
import { createHeartbeatSamples } from './heartbeat-samples.js';
import { emptyVmFolder } from './vm-folder.js';

const FLEET = 2_000;

/** How many heartbeats of a fleet that sends them all the time are kept in the ten seconds after the first. */
function keptInTenSeconds(isBusy: boolean): number {
  const clock = createManualClock();
  const kept: string[] = [];
  const samples = createHeartbeatSamples({ clock, isBusy: () => isBusy }, ({ vmId }) => kept.push(vmId));
  const folders = Array.from({ length: FLEET }, (_, index) =>
    emptyVmFolder('/data', `vm-${index}`, () => 's'),
  );
  for (let step = 0; step < 440; step += 1) {
    for (const folder of folders) samples.take(folder, vmRecord(), vmReport());
    clock.advance(25);
  }
  // Each in its turn: no VM a second time before every other one has had its first.
  expect(new Set(kept.slice(0, FLEET)).size).toBe(Math.min(kept.length, FLEET));
  return kept.length;
}

describe('heartbeats of a fleet that sends more than is kept', () => {
  it('are kept a thousand in a second, each VM in its turn', () => {
    expect(keptInTenSeconds(false)).toBeGreaterThan(9_900);
    expect(keptInTenSeconds(false)).toBeLessThanOrEqual(10_050);
  });

  it('are kept eighty in a second while the process is busy', () => {
    expect(keptInTenSeconds(true)).toBeGreaterThan(790);
    expect(keptInTenSeconds(true)).toBeLessThanOrEqual(804);
  });
});
