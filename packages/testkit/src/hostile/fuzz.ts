/** The tests that send requests and messages at random, with as many of them as is asked for. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..');
const JEST = path.join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js');
const TESTS = 'packages/controller/src/auth/hostile';

/** @returns the exit code: 0 = the controller answered everything, went on, and did not grow */
export function fuzz(count: number, seed: number): Promise<number> {
  const child = spawn(
    process.execPath,
    [
      '--expose-gc',
      '--experimental-vm-modules',
      '--no-warnings=ExperimentalWarning',
      JEST,
      '--runInBand',
      TESTS,
    ],
    {
      cwd: ROOT,
      stdio: 'inherit',
      env: { ...process.env, FUZZ_RUNS: String(count), FUZZ_SEED: String(seed) },
    },
  );
  return new Promise((resolve) => {
    child.once('error', () => resolve(1));
    child.once('close', (code) => resolve(code ?? 1));
  });
}
