/** Files that are read when they are used, by a thousand VMs at once too: what was read within the last moment is used again. */
import type { Clock } from '@mig/common/clock';

type ReadFile = (file: string) => Promise<string | undefined>;

/** A file that was changed is used anew after this. */
const KEEP_MS = 1_000;

/** What cannot be read is tried again each time. Few files are ever named: all are kept. */
export function createCachedFile(readFile: ReadFile, clock: Clock): ReadFile {
  const kept = new Map<
    string,
    { readonly content: Promise<string | undefined>; readonly readAtMs: number }
  >();
  return (file) => {
    const nowMs = clock.monotonicMs();
    const known = kept.get(file);
    if (known !== undefined && nowMs - known.readAtMs < KEEP_MS) return known.content;
    const content = readFile(file);
    kept.set(file, { content, readAtMs: nowMs });
    content.catch(() => kept.delete(file));
    return content;
  };
}
