/**
 * Files that survive crashes and power cuts: the writer, the log and the checkpoint, joined.
 *
 *   record -> file-writer.ts -> write-ahead-log.ts --(segment ended)--> checkpoint.ts -> files synced, segment dropped
 *                                     ^                                                        |
 *                          replay.ts -+-- at opening: what the log has and the files have not -+
 */
import type { IsBusy } from '@mig/common/process-load';
import path from 'node:path';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import { createCheckpoint } from './checkpoint.js';
import type { FileOperations } from './file-operations.js';
import { createFileWriter, type FileWriter } from './file-writer.js';
import { LOG_FOLDER } from './log-segment.js';
import { replayLog } from './replay.js';
import type { SetAside } from './set-aside.js';
import { createWriteAheadLog } from './write-ahead-log.js';

export interface DurableFiles extends Pick<
  FileWriter,
  'write' | 'record' | 'placeAll' | 'remove' | 'removeTree'
> {
  /** Writes as a write does, and leaves nothing behind. Rejects with the system's error while nothing can be written. */
  probe(): Promise<void>;
  /** Resolves when all is written and synced, and the log is empty; what cannot be synced stays in the log. */
  close(): Promise<void>;
}

export interface DurableFilesDeps {
  readonly files: FileOperations;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly setAside: SetAside;
  readonly isBusy: IsBusy;
}

export interface DurableFilesOptions {
  /** The data directory; it exists. */
  readonly root: string;
  /** A segment of the log is ended at this size; default 16 MiB. */
  readonly segmentBytes?: number | undefined;
}

/** More than a few files need: what is freed must do for more than the next write. 64 KiB. */
const PROBE = '.'.repeat(64 * 1024);

/**
 * Replays the log of an earlier process. When it resolves, the files are what that process was told they are.
 * @throws DataDirectoryUnreadableError, or the system's error if a file cannot be written
 */
export async function openDurableFiles(
  deps: DurableFilesDeps,
  { root, segmentBytes }: DurableFilesOptions,
): Promise<DurableFiles> {
  const { files, clock, logger } = deps;
  const { segments, nextNumber } = await replayLog(deps, root);
  const log = createWriteAheadLog(
    { files, clock, isBusy: deps.isBusy, onSealed: (segment) => checkpoint.add(segment) },
    { root, firstNumber: nextNumber, segmentBytes },
  );
  const writer = createFileWriter(
    { ...deps, log, room: () => checkpoint.room(), hasRoom: () => checkpoint.hasRoom() },
    root,
  );
  const checkpoint = createCheckpoint(
    { files, clock, logger, settle: writer.settle, isNamedAgain: log.names },
    root,
  );
  for (const segment of segments) checkpoint.add(segment);

  return {
    write: writer.write,
    record: writer.record,
    placeAll: writer.placeAll,
    remove: writer.remove,
    removeTree: writer.removeTree,

    async probe() {
      const file = path.join(root, LOG_FOLDER, 'probe');
      try {
        await files.makeDirectory(path.dirname(file));
        await files.writeText(file, PROBE, true);
      } finally {
        await files.remove(file);
      }
      await writer.remove(file); // goes through the log
    },

    async close() {
      await writer.idle();
      await log.seal().catch(() => undefined);
      await checkpoint.finish();
    },
  };
}
