// `npm test`: makes the working copy ready, then runs the whole suite. Arguments go to jest: `npm test -- packages/cli`.
import { spawn } from 'node:child_process';
import { setUp } from './setup.mjs';

setUp({ quiet: true });
const child = spawn(
  process.execPath,
  [
    // jest runs ES modules behind this flag (jestjs.io, "ECMAScript Modules").
    '--experimental-vm-modules',
    '--no-warnings=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    ...process.argv.slice(2),
  ],
  { stdio: 'inherit' },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
