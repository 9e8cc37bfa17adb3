/** Archives as `tar` writes them (POSIX ustar), of files that are small and have short names. */
import { gzipSync } from 'node:zlib';

export interface TarEntry {
  /** At most 100 bytes; a folder's ends with a slash. */
  readonly name: string;
  readonly mode: number;
  readonly content?: Buffer;
  /** A symbolic link to this; at most 100 bytes. */
  readonly linkTo?: string;
}

const BLOCK = 512;

/** The same entries make the same bytes. */
export function toTarGz(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const content = entry.content ?? Buffer.alloc(0);
    return [toHeader(entry, content.length), content, Buffer.alloc(padding(content.length))];
  });
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]));
}

function toHeader({ name, mode, linkTo }: TarEntry, size: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, offset: number, length: number): number =>
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset);
  const type = linkTo !== undefined ? '2' : name.endsWith('/') ? '5' : '0';
  header.write(name, 0, 100);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  header.fill(' ', 148, 156);
  header.write(type, 156);
  header.write(linkTo ?? '', 157, 100);
  header.write('ustar\0', 257);
  header.write('00', 263);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;
