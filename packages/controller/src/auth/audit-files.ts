/** The files of the audit log, by the number of the first entry of each: `audit-{16 digits}.jsonl`. */
import { open, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { headOfLine, type AuditHead } from '@mig/common/domain/audit';

export interface AuditFile {
  readonly firstSeq: number;
  readonly path: string;
}

const FILE = /^audit-(\d{16})\.jsonl$/;
/** More than the longest line. */
const EDGE_BYTES = 256 * 1_024;

export const auditFile = (directory: string, firstSeq: number): AuditFile => ({
  firstSeq,
  path: path.join(directory, `audit-${String(firstSeq).padStart(16, '0')}.jsonl`),
});

/** Oldest first; none if there is no such folder. @throws the file system's error */
export async function listAuditFiles(directory: string): Promise<AuditFile[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names
    .flatMap((name) => {
      const digits = FILE.exec(name)?.[1];
      return digits === undefined ? [] : [{ firstSeq: Number(digits), path: path.join(directory, name) }];
    })
    .sort((a, b) => a.firstSeq - b.firstSeq);
}

/** Its whole lines; none if it is not there. @throws the file system's error */
export async function readAuditLines(file: AuditFile): Promise<string[]> {
  const text = await readFile(file.path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n').slice(0, -1);
}

/**
 * What is wrong where the files begin and end, without reading them whole; empty = nothing.
 *
 * @param first the oldest entry that there should be
 */
export async function findGaps(files: readonly AuditFile[], first: number): Promise<string[]> {
  const faults: string[] = [];
  let before: AuditHead | undefined;
  const [oldest] = files;
  if (oldest !== undefined && oldest.firstSeq > first)
    faults.push(`its oldest files are missing: it should begin with entry ${first}`);
  for (const file of files) {
    const name = path.basename(file.path);
    const [begin, end] = await edgesOf(file);
    if (begin === undefined || begin.seq !== file.firstSeq)
      faults.push(`${name} does not begin with entry ${file.firstSeq}`);
    else if (before !== undefined && (before.seq + 1 !== begin.seq || before.hash !== begin.prev))
      faults.push(`${name} does not continue the file before it, which ends with entry ${before.seq}`);
    before = end;
  }
  return faults;
}

async function edgesOf(file: AuditFile): Promise<[ReturnType<typeof headOfLine>, AuditHead | undefined]> {
  const handle = await open(file.path, 'r');
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, EDGE_BYTES);
    const read = async (position: number): Promise<string> =>
      (await handle.read(Buffer.alloc(length), 0, length, position)).buffer.toString('utf8');
    const firstLine = (await read(0)).split('\n', 1)[0] ?? '';
    const lastLine = (await read(size - length)).split('\n').at(-2) ?? '';
    return [headOfLine(firstLine), headOfLine(lastLine)];
  } finally {
    await handle.close();
  }
}
