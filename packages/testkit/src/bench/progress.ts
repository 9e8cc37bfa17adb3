/** How far it is: a bar on a terminal, a line for each server elsewhere. */
export interface Progress {
  /** So much of the whole is done, 0 to 1, and this is being done. */
  show(share: number, what: string): void;
  /** Something that stays on the screen. */
  say(line: string): void;
  /** Takes the bar away. */
  end(): void;
}

const BAR_WIDTH = 24;

/** @param output where it goes; a bar is drawn if it is a terminal */
export function createProgress(output: {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}): Progress {
  const isTerminal = output.isTTY === true;
  const clear = (): void => void (isTerminal && output.write('\r\u001b[K'));
  return {
    show(share, what) {
      if (!isTerminal) return;
      const filled = Math.round(Math.min(1, share) * BAR_WIDTH);
      const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
      const line = `${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${what}`;
      clear();
      output.write(line.slice(0, (output.columns ?? 80) - 1));
    },
    say(line) {
      clear();
      output.write(`${line}\n`);
    },
    end: clear,
  };
}
