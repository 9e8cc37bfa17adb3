/** Unpacks an archive into a new folder: nothing of it can come to lie, or point, outside of that folder. */
import { readdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import type { ReadEntry } from 'tar';
import { errorMessage, printable } from '@mig/common/errors';
import { fatal, ok, retryable, type Outcome } from '@mig/common/outcome';
import { isSystemError } from '../../host/system-error.js';

/** A runner has 600 MB in 20,000 files. */
const MAX_BYTES = 8 * 2 ** 30;
const MAX_ENTRIES = 500_000;

/**
 * @param directory exists and is empty; left half filled if it fails
 * @returns `fatal` for an archive that is none, or that reaches outside
 */
export async function unpack(
  archive: string,
  directory: string,
  signal: AbortSignal,
): Promise<Outcome<void>> {
  // Loaded here: most starts find their runner there, and unpack nothing.
  const { extract } = await import('tar');
  let fault: string | undefined;
  let bytes = 0;
  let entries = 0;
  const admit = (entry: ReadEntry): boolean => {
    if (signal.aborted) return false;
    bytes += entry.size;
    entries += 1;
    fault ??= faultOf(entry) ?? (bytes > MAX_BYTES || entries > MAX_ENTRIES ? 'is too large' : undefined);
    return fault === undefined;
  };
  try {
    await extract({
      file: archive,
      cwd: directory,
      filter: (_, entry) => admit(entry as ReadEntry),
      // Otherwise root would give the files the owner's number of the machine that packed them.
      preserveOwner: false,
      onwarn: (code, message) => {
        fault ??= `is damaged (${code}: ${printable(String(message))})`;
      },
    });
  } catch (error) {
    if (isSystemError(error)) {
      const full = error.code === 'ENOSPC' || error.code === 'EDQUOT';
      return retryable(
        full
          ? `the disk is full: the runner could not be unpacked into ${directory}: free space there`
          : `the runner could not be unpacked into ${directory} (${error.message})`,
      );
    }
    return fatal(`the archive is damaged (${printable(errorMessage(error))})`);
  }
  if (signal.aborted)
    return retryable('the installation was given up: it took too long, or was not wanted any more');
  fault ??= await findLinkOutside(directory);
  return fault === undefined ? ok(undefined) : fatal(`the archive ${fault}: it is not used`);
}

/** A link by way of another one may lead out, although each of them seems to stay inside. */
async function findLinkOutside(directory: string): Promise<string | undefined> {
  const root = await realpath(directory);
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue;
    const link = path.join(entry.parentPath, entry.name);
    const target = await realpath(link).catch(() => undefined);
    if (target !== undefined && target !== root && !target.startsWith(`${root}/`))
      return `has a link that leads outside: ${printable(path.relative(directory, link))}`;
  }
  return undefined;
}

/** What is wrong with the entry; undefined = nothing. */
function faultOf(entry: ReadEntry): string | undefined {
  const name = printable(entry.path);
  if (!staysInside(entry.path)) return `has an entry that reaches outside: ${name}`;
  if (PLAIN.has(entry.type)) return undefined;
  const target = entry.linkpath ?? '';
  if (entry.type === 'SymbolicLink') {
    const inside =
      !path.posix.isAbsolute(target) && staysInside(path.posix.join(path.posix.dirname(entry.path), target));
    return inside ? undefined : `has a link that leads outside: ${name} -> ${printable(target)}`;
  }
  if (entry.type === 'Link')
    return staysInside(target) ? undefined : `has a link that leads outside: ${name} -> ${printable(target)}`;
  return `has an entry that is neither file, folder nor link: ${name}`;
}

const PLAIN = new Set<string>(['File', 'OldFile', 'ContiguousFile', 'Directory', 'GNUDumpDir']);

function staysInside(name: string): boolean {
  const normal = path.posix.normalize(name);
  return !path.posix.isAbsolute(normal) && normal !== '..' && !normal.startsWith('../');
}
