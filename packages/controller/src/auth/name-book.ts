/**
 * What is known of VMs' names beyond a restart: which life of a VM joined last, and which lives an operator has ended.
 *
 *   {file}   JSON lines, the newest of a name counts: {"join":…}, {"release":…}, {"gone":"vm-1","of":"join"}
 *
 * A join is written soon; a release is durable before anybody is told that it was done (I1). The file is written anew, with
 * what still counts, when it is opened, when most of it is of the past, and after a failure to append to it.
 */
import { open } from 'node:fs/promises';
import * as z from 'zod';
import { MigError, errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { StoreUnavailableError } from '../store/store.js';
import { createGathering } from './gathering.js';
import { readPrivateFile, writePrivateFile } from './private-file.js';

const lifeSchema = z.object({ bootId: z.string(), poolId: z.string() });
const joinSchema = z.object({
  vmId: z.string(),
  poolId: z.string(),
  bootId: z.string(),
  address: z.string(),
});
const releaseSchema = z.object({
  vmId: z.string(),
  epoch: z.string(),
  at: z.number(),
  lives: z.array(lifeSchema),
});

/** The life of a VM that joined last with a credential. */
export type Joined = Readonly<z.infer<typeof joinSchema>>;

/** An operator has ended what was before. */
export interface Released {
  readonly vmId: string;
  /** Sessions that were issued in another epoch are void. */
  readonly epoch: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Those that were released, the newest last. */
  readonly lives: readonly Readonly<z.infer<typeof lifeSchema>>[];
}

export interface NameBook {
  joined(vmId: string): Joined | undefined;
  released(vmId: string): Released | undefined;
  /** Written soon. */
  join(joined: Joined): void;
  /** Counts from the call on; takes the place of what joined. Durable when it resolves. @throws StoreUnavailableError, TooManyReleasesError */
  release(released: Released): Promise<void>;
  /** Drops names of which no `keep` wants to know more. */
  forget(keep: { joined(one: Joined): boolean; released(one: Released): boolean }): void;
  close(): Promise<void>;
}

/** Releases that count, at most (I12). */
export class TooManyReleasesError extends MigError {
  constructor(limit: number) {
    super(
      'too-many-releases',
      `${limit} VMs were released and still count, the most there can be: they are forgotten a day after the VM is`,
    );
  }
}

/** The file is damaged. The controller does not start: sessions that an operator has ended would be taken again. */
export class NameFileError extends MigError {
  constructor(
    readonly file: string,
    line: number,
  ) {
    super(
      'bad-name-file',
      `line ${line} of ${file} cannot be read: restore it from a backup, or remove it together with session-key.json; then every VM joins again`,
    );
  }
}

const lineSchema = z.union([
  z.strictObject({ join: joinSchema }),
  z.strictObject({ release: releaseSchema }),
  z.strictObject({ gone: z.string(), of: z.enum(['join', 'release']) }),
]);
type Line = { join: Joined } | { release: Released } | { gone: string; of: 'join' | 'release' };

/** Names that are kept of each kind (I12): more than a fleet has. Of joins the oldest go; their VMs' records still count. */
const MAX_NAMES = 100_000;
/** Lines beyond those that count, after which the file is written anew. */
const MAX_PAST_LINES = 20_000;
/** Lines that wait for the disk; beyond it they are dropped, and the file is written anew. */
const MAX_WAITING = 10_000;

/** @throws NameFileError, or the file system's error */
export async function openNameBook(
  file: string,
  { logger }: { readonly logger: Logger },
  options: { readonly maxNames?: number } = {},
): Promise<NameBook> {
  const maxNames = options.maxNames ?? MAX_NAMES;
  const joins = new Map<string, Joined>();
  const releases = new Map<string, Released>();
  let waiting: Line[] = [];
  let lineCount = 0;
  let rewrite = false;
  const gathering = createGathering();
  let writing: Promise<void> | undefined;

  function apply(line: Line): void {
    if ('join' in line) {
      joins.delete(line.join.vmId);
      joins.set(line.join.vmId, line.join);
      for (const oldest of joins.size > maxNames ? joins.keys() : []) {
        joins.delete(oldest);
        break;
      }
    } else if ('release' in line) {
      joins.delete(line.release.vmId);
      releases.delete(line.release.vmId);
      releases.set(line.release.vmId, line.release);
    } else (line.of === 'join' ? joins : releases).delete(line.gone);
  }

  const found = await readLines(file, logger);
  found.lines.forEach(apply);
  lineCount = found.lines.length;
  rewrite = !found.isWhole || lineCount !== joins.size + releases.size;

  /** All that counts; a release before the join that came after it. */
  function* counting(): Iterable<Line> {
    for (const release of releases.values()) yield { release };
    for (const join of joins.values()) yield { join };
  }

  async function writeOnce(): Promise<void> {
    const lines = waiting;
    waiting = [];
    if (rewrite || lineCount - joins.size - releases.size > MAX_PAST_LINES) {
      rewrite = false;
      const all = [...counting()];
      await writePrivateFile(file, toText(all));
      lineCount = all.length;
      return;
    }
    const handle = await open(file, 'a', 0o600);
    try {
      await handle.writeFile(toText(lines));
      await handle.datasync();
    } finally {
      await handle.close();
    }
    lineCount += lines.length;
  }

  /** Resolves when all that was told before is on disk. */
  function flush(): Promise<void> {
    writing ??= (async () => {
      try {
        while (waiting.length > 0 || rewrite) {
          if (!waiting.some((line) => 'release' in line)) await gathering.wait();
          await writeOnce();
        }
      } catch (error) {
        // Half a line may be there: the next write makes the file anew.
        rewrite = true;
        throw error;
      } finally {
        writing = undefined;
      }
    })();
    return writing;
  }

  function tell(line: Line): void {
    apply(line);
    if (waiting.length >= MAX_WAITING) {
      waiting = [];
      rewrite = true;
    }
    waiting.push(line);
  }
  const tellSoon = (line: Line): void => {
    tell(line);
    flush().catch((error: unknown) =>
      logger.warn(
        { file, reason: errorMessage(error) },
        'who joined could not be written; it is kept in memory',
      ),
    );
  };

  return {
    joined: (vmId) => joins.get(vmId),
    released: (vmId) => releases.get(vmId),

    join: (joined) => tellSoon({ join: joined }),

    async release(released) {
      if (!releases.has(released.vmId) && releases.size >= maxNames) throw new TooManyReleasesError(maxNames);
      tell({ release: released });
      gathering.end();
      await flush().catch((error: unknown) => {
        throw new StoreUnavailableError(`the release of VM ${released.vmId}`, error);
      });
    },

    forget(keep) {
      for (const released of releases.values())
        if (!keep.released(released)) tellSoon({ gone: released.vmId, of: 'release' });
      for (const joined of joins.values())
        if (!keep.joined(joined)) tellSoon({ gone: joined.vmId, of: 'join' });
    },

    close() {
      gathering.end();
      return flush().catch(() => undefined);
    },
  };
}

const toText = (lines: readonly Line[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join('');

/** A crash can leave an end that is none, which is left out; what is wrong before the end is damage. */
async function readLines(
  file: string,
  logger: Logger,
): Promise<{ readonly lines: readonly Line[]; readonly isWhole: boolean }> {
  const content = await readPrivateFile(file);
  const lines: Line[] = [];
  let firstBad: number | undefined;
  for (const [index, text] of (content ?? '').split('\n').entries()) {
    const line = text === '' ? undefined : parseLine(text);
    if (line === undefined) firstBad ??= text === '' ? undefined : index + 1;
    else if (firstBad !== undefined) throw new NameFileError(file, firstBad);
    else lines.push(line);
  }
  if (firstBad !== undefined)
    logger.warn({ file, line: firstBad }, 'the end of the file was torn by a crash, and is left out');
  return { lines, isWhole: firstBad === undefined && content?.endsWith('\n') === true };
}

function parseLine(text: string): Line | undefined {
  try {
    return lineSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
