// `npm test`: makes the working copy ready, then runs the whole suite. Arguments go to jest: `npm test -- packages/cli`.
//
// Many suites start real processes, and a machine that is busy enough breaks the deadline of one or another. So suites that
// failed are run once more, alone: what fails there too has failed; what passes is named as unsteady, for somebody to look at.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setUp } from './setup.mjs';

/** More failed suites than these are no matter of a busy machine. */
const MAX_UNSTEADY = 5;

setUp({ quiet: true });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => (asked = true));
let asked = false;
const folder = mkdtempSync(path.join(os.tmpdir(), 'mig-test-'));
let status;
try {
  status = await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(status);

async function run() {
  const args = process.argv.slice(2);
  const first = await jest(args);
  const mayBeUnsteady = !asked && first.failed.length > 0 && first.failed.length <= MAX_UNSTEADY;
  if (first.status === 0 || !mayBeUnsteady || args.some((arg) => arg.startsWith('--watch')))
    return first.status;
  process.stderr.write(`\ntest: once more, alone: ${first.failed.join(', ')}\n\n`);
  const flags = args.filter((arg) => arg.startsWith('-') && arg.includes('='));
  const second = await jest(['--runInBand', ...flags, '--runTestsByPath', ...first.failed]);
  if (second.status === 0)
    process.stderr.write(
      `\ntest: UNSTEADY: failed beside the others, passed alone: ${first.failed.join(', ')}\n`,
    );
  return second.status;
}

/** How jest ended, and the suites that failed. */
function jest(args) {
  const outputFile = path.join(folder, 'results.json');
  rmSync(outputFile, { force: true });
  const child = spawn(
    process.execPath,
    [
      // jest runs ES modules behind this flag (jestjs.io, "ECMAScript Modules").
      '--experimental-vm-modules',
      '--no-warnings=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
      ...['--json', `--outputFile=${outputFile}`],
      ...args,
    ],
    { stdio: ['inherit', 'inherit', 'inherit'] },
  );
  return new Promise((resolve) => {
    child.on('exit', (code, signal) =>
      resolve({ status: signal ? 1 : (code ?? 1), failed: failedSuites(outputFile) }),
    );
  });
}

function failedSuites(outputFile) {
  try {
    const { testResults } = JSON.parse(readFileSync(outputFile, 'utf8'));
    return testResults
      .filter(({ status }) => status === 'failed')
      .map(({ name }) => path.relative('.', name));
  } catch {
    return [];
  }
}
