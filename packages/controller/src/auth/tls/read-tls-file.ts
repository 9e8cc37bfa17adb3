/** One file of TLS, read so that nothing that stands under its name can hold the controller up. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** A thousand certificates have less. */
const MAX_BYTES = 1_048_576;

/**
 * A regular file, also behind links; a pipe or a device is refused without waiting for who writes there.
 *
 * @throws the file system's error, or one that says what the file is instead
 */
export async function readTlsFile(file: string): Promise<Buffer> {
  // Without O_NONBLOCK a pipe would be waited for here, and the thread that waits would hold the end of the process up.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new Error(`${file} is no regular file`);
    if (stats.size > MAX_BYTES) throw new Error(`${file} has more than ${MAX_BYTES} bytes`);
    const bytes = Buffer.alloc(MAX_BYTES + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length);
      length += bytesRead;
      if (length > MAX_BYTES) throw new Error(`${file} has more than ${MAX_BYTES} bytes`);
      if (bytesRead === 0) return Buffer.from(bytes.subarray(0, length));
    }
  } finally {
    await handle.close();
  }
}
