/** A moment in which what nobody waits for comes together, to be written with one write; whoever does wait ends it. */

const GATHER_MS = 20;

export interface Gathering {
  /** Resolves after 20 ms, or when it is ended. One at a time. */
  wait(): Promise<void>;
  end(): void;
}

export function createGathering(): Gathering {
  let end: (() => void) | undefined;
  return {
    async wait() {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        end = resolve;
        timer = setTimeout(resolve, GATHER_MS);
      });
      clearTimeout(timer);
      end = undefined;
    },
    end: () => end?.(),
  };
}
