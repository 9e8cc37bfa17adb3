import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Powers the machine off. Rejects with the system's words if that is refused. */
export async function powerOff(): Promise<void> {
  await promisify(execFile)('systemctl', ['poweroff'], { timeout: 10_000 });
}
