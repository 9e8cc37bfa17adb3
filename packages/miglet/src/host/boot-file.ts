/**
 * Which life of the VM this is. A boot id lasts from the VM's start to its shutdown: a MIGlet that is killed and started
 * again finds its own, one that starts after an orderly end, or after the machine was restarted, begins another.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { isSystemError } from './system-error.js';
import { writeFileDurably } from './write-file.js';

export interface Boot {
  readonly bootId: string;
  /** The MIGlet was drained in this boot, and its restart does not change that. */
  readonly drained: boolean;
  /** Runners that an earlier process of the MIGlet may have left at GitHub, in whatever boot; oldest first. */
  readonly registeredAs: readonly string[];
  /** The boot is the one that an earlier process of the MIGlet was in. */
  readonly resumed: boolean;
}

export interface BootFile {
  readonly boot: Boot;
  /**
   * On disk when it returns, unless the disk refuses it (full, failing): then it is known to this process only, until a
   * `retry` has written it.
   */
  rememberDrained(drained: boolean): void;
  /** Every runner of this VM that GitHub may know. Outlives the boot. On disk as `rememberDrained` is. */
  rememberRegistered(runnerNames: readonly string[]): void;
  /** From here on, a MIGlet that starts begins another boot. On disk as `rememberDrained` is. */
  rememberEnded(): void;
  /** Tries to write what was refused. @returns true = what is known is on disk */
  retry(): boolean;
}

interface Content {
  readonly boot_id: string;
  readonly kernel_boot_id: string;
  readonly drained: boolean;
  readonly ended: boolean;
  readonly registered_as: readonly string[];
}

/**
 * @param kernelBootId what the kernel says of its own start; empty where it says nothing
 * @throws the file system's error if a boot begins and cannot be written down
 */
export function openBootFile(stateDirectory: string, kernelBootId: string): BootFile {
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
  const file = path.join(stateDirectory, 'boot.json');
  const before = read(file);
  const resumed = before !== undefined && !before.ended && before.kernel_boot_id === kernelBootId;
  let content: Content = resumed
    ? before
    : {
        boot_id: randomUUID(),
        kernel_boot_id: kernelBootId,
        drained: false,
        ended: false,
        registered_as: before?.registered_as ?? [],
      };
  let written = resumed;
  const write = (): void => {
    writeFileDurably(file, `${JSON.stringify(content, null, 2)}\n`);
    written = true;
  };
  if (!written) write();

  function retry(): boolean {
    if (written) return true;
    try {
      write();
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
    return written;
  }
  function save(change: Partial<Content>): void {
    content = { ...content, ...change };
    written = false;
    retry();
  }
  return {
    boot: {
      bootId: content.boot_id,
      drained: content.drained,
      registeredAs: content.registered_as,
      resumed,
    },
    rememberDrained: (drained) => save({ drained }),
    rememberRegistered: (runnerNames) => {
      if (runnerNames.join() !== content.registered_as.join()) save({ registered_as: runnerNames });
    },
    rememberEnded: () => save({ ended: true }),
    retry,
  };
}

/** The kernel's id of its own start (Linux, random(4)); empty elsewhere. */
export function readKernelBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

function read(file: string): Content | undefined {
  try {
    const content = JSON.parse(readFileSync(file, 'utf8')) as Partial<Content>;
    return typeof content.boot_id === 'string' && typeof content.kernel_boot_id === 'string'
      ? {
          boot_id: content.boot_id,
          kernel_boot_id: content.kernel_boot_id,
          drained: content.drained === true,
          ended: content.ended === true,
          registered_as: Array.isArray(content.registered_as)
            ? content.registered_as.filter((name) => typeof name === 'string')
            : [],
        }
      : undefined;
  } catch {
    return undefined;
  }
}
