/** For processes that make no sense without the one that started them. */
import { identify, isAlive } from '@mig/common/process-identity';

const LOOK_MS = 500;

/** Ends this process, at once, when that one is gone. */
export function endWithParent(pid: number): void {
  const parent = identify(pid);
  process.stdout.on('error', () => undefined);
  setInterval(() => {
    if (!isAlive(parent)) process.exit(1);
  }, LOOK_MS).unref();
}
