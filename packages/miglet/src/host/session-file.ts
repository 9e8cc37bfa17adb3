/**
 * The VM's session across a restart of the MIGlet: a file that only its own user can read, which is not the runner's. Without
 * it the MIGlet would need its join credential again, which an operator may have taken from the VM after the start.
 */
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isSystemError } from './system-error.js';
import { writeFileDurably } from './write-file.js';

export interface KeptSession {
  readonly token: string;
  /** Wall clock, milliseconds since 1970. */
  readonly expiresAt: number;
}

export interface SessionFile {
  /** Undefined if there is none of this boot. */
  read(): KeptSession | undefined;
  /** Undefined removes it. A disk that takes nothing is no failure: the session is then known to this process alone. */
  write(session: KeptSession | undefined): void;
}

export function openSessionFile(stateDirectory: string, bootId: string): SessionFile {
  const file = path.join(stateDirectory, 'session.json');
  return {
    read() {
      try {
        const content = JSON.parse(readFileSync(file, 'utf8')) as Partial<KeptSession & { boot_id: string }>;
        const { token, expiresAt, boot_id: boot } = content;
        return boot === bootId && typeof token === 'string' && typeof expiresAt === 'number'
          ? { token, expiresAt }
          : undefined;
      } catch {
        return undefined;
      }
    },
    write(session) {
      try {
        if (session === undefined) rmSync(file, { force: true });
        else writeFileDurably(file, `${JSON.stringify({ ...session, boot_id: bootId })}\n`);
      } catch (error) {
        if (!isSystemError(error)) throw error;
      }
    },
  };
}
