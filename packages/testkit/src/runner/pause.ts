/** Waits, but no longer than until the runner is told to stop. */
export type Pause = (delayMs: number) => Promise<void>;

export function createPause(shutdown: AbortSignal): Pause {
  return (delayMs) =>
    new Promise((resolve) => {
      if (shutdown.aborted) return resolve();
      const end = () => {
        clearTimeout(timer);
        shutdown.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, delayMs);
      shutdown.addEventListener('abort', end);
    });
}
