/** Output on disk: a folder for each task or job. */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { isValidId } from '@mig/common/domain/ids';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { OutputLog, OutputStore } from '../../tasks/output-store.js';
import { openOutputLog, type OutputLimits } from './output-log.js';

/** A segment is an eighth of what is kept: two of the beginning, and at least five whole ones of the end. */
const SEGMENTS = 8;
const HEAD_SEGMENTS = 2;

/** @param maxBytes what is kept of each, with its overhead */
export function createOutputStore(root: string, maxBytes: number, logger: Logger): OutputStore {
  const logs = new Map<string, Promise<OutputLog>>();
  const limits: OutputLimits = {
    segmentBytes: Math.ceil(maxBytes / SEGMENTS),
    headSegments: HEAD_SEGMENTS,
    tailSegments: SEGMENTS - HEAD_SEGMENTS,
  };
  return {
    open(id) {
      let log = logs.get(id);
      if (log === undefined) {
        log = openOutputLog(path.join(root, id), limits, (error) =>
          logger.error({ id, reason: errorMessage(error) }, 'output cannot be stored: it is lost'),
        );
        logs.set(id, log);
        log.catch(() => logs.delete(id));
      }
      return log;
    },
    async remove(id) {
      const log = await logs.get(id)?.catch(() => undefined);
      logs.delete(id);
      await log?.finish();
      await rm(path.join(root, id), { recursive: true, force: true });
    },
    list: async () => (await readdir(root).catch(() => [])).filter(isValidId),
  };
}
