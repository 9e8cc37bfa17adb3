/**
 * How far a drain has come, on stderr: on a terminal a bar and the VMs that are not done, drawn anew; elsewhere (a log, CI)
 * a line for every change.
 */
import type { DrainResource, DrainVmResource } from '@mig/common/api/drain-resource';
import { isDrainVmFinal, type DrainVmState } from '@mig/common/domain/drain';
import type { Trouble } from '../api/retry.js';
import type { Colours } from '../output/colour.js';
import { createLiveBlock, type LiveLine } from '../output/live-block.js';
import type { Output } from '../output/output.js';
import { createTroubleLog, troubleText } from '../output/progress.js';
import { count, safe } from '../output/text.js';
import { reasonText, stateAndReason } from './drain-text.js';

export interface DrainProgress {
  show(drain: DrainResource): void;
  /** The controller does not answer; undefined: it does again. */
  trouble(trouble: Trouble | undefined): void;
  /** Takes the live lines away. Call it before anything else is written. */
  clear(): void;
}

export const createDrainProgress = (stderr: Output, colours: Colours): DrainProgress =>
  stderr.isTty ? liveProgress(stderr, colours) : plainProgress(stderr);

const BAR_WIDTH = 20;
/** Lines of a terminal for the bar, the rest, the trouble and the cursor. */
const OTHER_LINES = 4;

/** Which VMs are shown first, where there is no room for all: those that something happens to. */
const RANKS: Readonly<Record<DrainVmState, number>> = {
  draining: 0,
  shuttingDown: 0,
  failed: 1,
  gone: 1,
  cancelled: 1,
  waiting: 2,
  done: 3,
};

function liveProgress(stderr: Output, colours: Colours): DrainProgress {
  const block = createLiveBlock(stderr);
  let drain: DrainResource | undefined;
  let trouble: Trouble | undefined;

  function linesOf(current: DrainResource): LiveLine[] {
    const left = current.vms
      .filter(({ state }) => state !== 'done')
      .sort((a, b) => RANKS[a.state] - RANKS[b.state]);
    const room = Math.max(1, stderr.rows() - OTHER_LINES);
    const shown = left.slice(0, room);
    const nameWidth = Math.max(...shown.map(({ vm_id }) => vm_id.length));
    const stateWidth = Math.max(...shown.map(({ state }) => state.length));
    return [
      { text: `${bar(current)} ${countsText(current)}`, paint: colours.bold },
      ...shown.map((vm) => ({
        text: `${safe(vm.vm_id).padEnd(nameWidth)}  ${vm.state.padEnd(stateWidth)}  ${safe(reasonText(vm))}`,
        paint: RANKS[vm.state] === 0 ? undefined : colours.drainVmState(vm.state),
      })),
      ...(left.length > shown.length
        ? [{ text: `and ${count(left.length - shown.length, 'more VM')}`, paint: colours.dim }]
        : []),
    ];
  }
  const draw = (): void =>
    block.draw([
      ...(drain === undefined ? [] : linesOf(drain)),
      ...(trouble === undefined ? [] : [{ text: troubleText(trouble), paint: colours.yellow }]),
    ]);

  return {
    show(next) {
      drain = next;
      draw();
    },
    trouble(next) {
      trouble = next;
      draw();
    },
    clear: () => block.clear(),
  };
}

/** `[########xx..........]`: done, ended otherwise, still to come. */
function bar({ vms, counts }: DrainResource): string {
  const ended = vms.filter(({ state }) => isDrainVmFinal(state)).length;
  const placesOf = (part: number) => Math.floor((part / Math.max(1, vms.length)) * BAR_WIDTH);
  const done = placesOf(counts.done);
  return `[${'#'.repeat(done).padEnd(placesOf(ended), 'x').padEnd(BAR_WIDTH, '.')}]`;
}

/** `12 of 50 VMs done, 2 failed, 10 draining, 26 waiting`. */
function countsText({ vms, counts }: DrainResource): string {
  const others = (['failed', 'gone', 'cancelled', 'shuttingDown', 'draining', 'waiting'] as const)
    .filter((state) => counts[state] > 0)
    .map((state) => `, ${counts[state]} ${state}`);
  return `${counts.done} of ${count(vms.length, 'VM')} done${others.join('')}`;
}

/** Most VMs that are named after one look; the others are counted. */
const MAX_CHANGES = 20;

function plainProgress(stderr: Output): DrainProgress {
  const shown = new Map<string, string>();
  return {
    show(drain) {
      const changed = drain.vms.filter((vm) => shown.get(vm.vm_id) !== keyOf(vm));
      for (const vm of changed) shown.set(vm.vm_id, keyOf(vm));
      // What has become of all is reported next.
      if (changed.length === 0 || drain.state !== 'active') return;
      const lines = changed.slice(0, MAX_CHANGES).map((vm) => `${safe(vm.vm_id)}: ${stateAndReason(vm)}\n`);
      const rest = changed.length - MAX_CHANGES;
      if (rest > 0) lines.push(`and ${count(rest, 'more VM')} changed\n`);
      stderr.write(`${lines.join('')}${drain.vms.length > 1 ? `${countsText(drain)}\n` : ''}`);
    },
    trouble: createTroubleLog(stderr),
    clear: () => undefined,
  };
}

const DURATIONS = /\b(\d+ ?(s|min|h)\b ?)+/g;

/** Changes with what happens to the VM, but neither with the time that passes nor with the turns of other VMs. */
const keyOf = (vm: DrainVmResource): string =>
  `${vm.state} ${reasonText(vm).replace(vm.state === 'waiting' ? /\d+/g : DURATIONS, '#')}`;
