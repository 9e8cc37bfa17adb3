/** A few lines at the bottom of a terminal that are drawn anew when something changes. */
import type { Paint } from './colour.js';
import type { Output } from './output.js';
import { fit, widthOf } from './text.js';

export interface LiveLine {
  /** Cut where the terminal ends. */
  readonly text: string;
  readonly paint?: Paint | undefined;
}

export interface LiveBlock {
  /** In the place of what was drawn before. */
  draw(lines: readonly LiveLine[]): void;
  /** Takes the lines away. Call it before anything else is written. */
  clear(): void;
}

const MIN_COLUMNS = 10;

/** @param stderr a terminal */
export function createLiveBlock(stderr: Output): LiveBlock {
  let drawn: readonly string[] = [];

  /** Up to the first line that was drawn, and away with all below. */
  function erasure(): string {
    // A terminal that was made narrower meanwhile has broken the lines.
    const rows = drawn.reduce(
      (sum, text) => sum + Math.max(1, Math.ceil(widthOf(text) / stderr.columns())),
      0,
    );
    return rows === 0 ? '' : `\u001b[${rows}A\r\u001b[J`;
  }

  return {
    draw(lines) {
      const columns = Math.max(MIN_COLUMNS, stderr.columns() - 1);
      const cut = lines.map(({ text, paint }) => ({ text: fit(text, columns), paint }));
      // In one write, so that it does not flicker.
      stderr.write(erasure() + cut.map(({ text, paint }) => `${paint?.(text) ?? text}\n`).join(''));
      drawn = cut.map(({ text }) => text);
    },
    clear() {
      if (drawn.length > 0) stderr.write(erasure());
      drawn = [];
    },
  };
}
