/** A store in a temporary folder of the machine, for tests of its files. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { createTestLog, type TestLog } from '../../test-log.contract.js';
import { commandRecord, drainRecord, vmEvent, vmRecord, vmReport } from '../samples.contract.js';
import type { Store } from '../store.js';
import type { FileOperations } from './file-operations.js';
import { openFileStore, openStoreOn } from './file-store.js';
import { nodeFiles } from './node-files.js';

export const RETENTION = { maxAgeMs: 7 * 86_400_000, maxEvents: 10_000, maxHeartbeats: 100 };

export const makeDirectory = (): Promise<string> => mkdtemp(path.join(os.tmpdir(), 'mig-store-'));

export interface StoreOnDisk {
  readonly directory: string;
  readonly log: TestLog;
  readonly clock: ManualClock;
  /** The one that was opened last. */
  readonly store: Store;
  /** A path in the folder of VM vm-1. */
  inVm(...names: string[]): string;
  open(): Promise<void>;
  /** On the machine's files, but for the operations that are given. */
  openOn(files: Partial<FileOperations>): Promise<void>;
  /** Stores one of each kind of VM vm-1, two events, and closes. */
  fill(): Promise<void>;
  remove(): Promise<void>;
}

export async function createStoreOnDisk(): Promise<StoreOnDisk> {
  const directory = await makeDirectory();
  const log = createTestLog();
  const clock = createManualClock();
  const options = { directory, retention: RETENTION, clock, logger: log.logger };
  let store = await openFileStore(options);
  return {
    directory,
    log,
    clock,
    get store() {
      return store;
    },
    inVm: (...names) => path.join(directory, 'vm-1', ...names),
    async open() {
      store = await openFileStore(options);
    },
    async openOn(files) {
      await store.close();
      store = await openStoreOn({ ...nodeFiles, ...files }, options, () => undefined);
    },
    async fill() {
      await store.saveDrain(drainRecord());
      await store.saveVm(vmRecord());
      await store.saveCommand(commandRecord());
      await store.appendEvent(vmEvent({ type: 'vm_started' }), 'http');
      await store.appendEvent(vmEvent({ type: 'job-started.x', sequence: 1 }), 'grpc');
      store.keepHeartbeat(vmRecord(), vmReport());
      clock.advance(1_000);
      await store.close();
    },
    async remove() {
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
