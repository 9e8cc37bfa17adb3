/**
 * What is waited for, on stderr: on a terminal a few lines that are drawn anew, elsewhere (a log, CI) a line whenever
 * something changes.
 */
import { formatAge } from './time.js';
import { createLiveBlock, type LiveLine } from './live-block.js';
import { count } from './text.js';
import type { Trouble } from '../api/retry.js';
import type { Colours } from './colour.js';
import type { Output } from './output.js';

export interface ProgressView {
  /** Has ended on these VMs. */
  readonly settled: readonly { readonly vmId: string; readonly ok: boolean }[];
  /** Still waited for; `key` says whether something changed, `text` is shown. */
  readonly waiting: readonly { readonly vmId: string; readonly key: string; readonly text: string }[];
}

export interface Progress {
  show(view: ProgressView): void;
  /** The controller does not answer; undefined: it does again. */
  trouble(trouble: Trouble | undefined): void;
  /** Takes the live lines away. Call it before anything else is written. */
  clear(): void;
}

/** Most VMs that are shown one by one. */
const MAX_SHOWN = 10;
/** Least time between two counts in a log, milliseconds. */
const COUNT_EVERY_MS = 10_000;

export const createProgress = (stderr: Output, colours: Colours, monotonicMs: () => number): Progress =>
  stderr.isTty ? liveProgress(stderr, colours) : plainProgress(stderr, monotonicMs);

/** One line that says that the controller does not answer. */
export const troubleText = ({ reason, leftMs }: Trouble): string =>
  `the controller does not answer (${reason}); trying again${leftMs === Infinity ? '' : ` for ${formatAge(leftMs)}`}`;

function liveProgress(stderr: Output, colours: Colours): Progress {
  let view: ProgressView = { settled: [], waiting: [] };
  let trouble: Trouble | undefined;
  const block = createLiveBlock(stderr);

  const draw = (): void => {
    const lines: LiveLine[] = [];
    if (totalOf(view) > 1) lines.push({ text: summary(view), paint: colours.bold });
    const room = Math.max(1, Math.min(MAX_SHOWN, stderr.rows() - 4));
    for (const { vmId, text } of view.waiting.slice(0, room)) lines.push({ text: `${vmId}: ${text}` });
    const rest = view.waiting.length - room;
    if (rest > 0) lines.push({ text: `and ${count(rest, 'more VM')}`, paint: colours.dim });
    if (trouble !== undefined) lines.push({ text: troubleText(trouble), paint: colours.yellow });
    block.draw(lines);
  };
  return {
    show(next) {
      view = next;
      draw();
    },
    trouble(next) {
      trouble = next;
      draw();
    },
    clear: () => block.clear(),
  };
}

function plainProgress(stderr: Output, monotonicMs: () => number): Progress {
  const shown = new Map<string, string>();
  const ended = new Set<string>();
  let shownSummary = '';
  let summaryAtMs = -Infinity;
  return {
    show(view) {
      if (totalOf(view) <= MAX_SHOWN) {
        // The last to end needs no line: what has become of all is reported next.
        for (const { vmId, ok } of view.waiting.length === 0 ? [] : view.settled) {
          if (!ended.has(vmId)) stderr.write(`${vmId}: ${ok ? 'done' : 'failed'}\n`);
          ended.add(vmId);
        }
        for (const { vmId, key, text } of view.waiting) {
          if (shown.get(vmId) !== key) stderr.write(`${vmId}: ${text}\n`);
          shown.set(vmId, key);
        }
        return;
      }
      const text = summary(view);
      if (text === shownSummary || monotonicMs() - summaryAtMs < COUNT_EVERY_MS) return;
      stderr.write(`${text}\n`);
      shownSummary = text;
      summaryAtMs = monotonicMs();
    },
    trouble: createTroubleLog(stderr),
    clear: () => undefined,
  };
}

/** Says once that the controller does not answer, and once that it does again. */
export function createTroubleLog(stderr: Output): Progress['trouble'] {
  let troubled = false;
  return (trouble) => {
    if (trouble !== undefined && !troubled) stderr.write(`${troubleText(trouble)}\n`);
    if (trouble === undefined && troubled) stderr.write('the controller answers again\n');
    troubled = trouble !== undefined;
  };
}

const totalOf = ({ settled, waiting }: ProgressView): number => settled.length + waiting.length;

function summary(view: ProgressView): string {
  const failedCount = view.settled.filter(({ ok }) => !ok).length;
  const failed = failedCount > 0 ? `, ${failedCount} failed` : '';
  return `${view.settled.length - failedCount} of ${count(totalOf(view), 'VM')} done${failed}, ${view.waiting.length} waited for`;
}
