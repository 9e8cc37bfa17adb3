// `npm run verify`: the whole gate, the same here and in CI. Stops at the first step that fails.
import { spawnSync } from 'node:child_process';
import { setUp } from './setup.mjs';

setUp();
const bin = (name) => `node_modules/.bin/${name}`;
const steps = [
  ['format', bin('prettier'), ['--check', '--log-level=warn', '.']],
  ['proto: lint', bin('buf'), ['lint']],
  ['proto: format', bin('buf'), ['format', '-d', '--exit-code', 'proto']],
  ['types of the tests', process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.test.json']],
  ['lint', bin('eslint'), ['packages', 'scripts', '--cache', '--cache-location', '.cache/eslint']],
  ['layers', bin('depcruise'), ['packages/*/src', 'packages/*/e2e', '--config', '.dependency-cruiser.cjs']],
  ['unused code', bin('knip'), []],
  ['tests', process.execPath, ['scripts/test.mjs']],
  ['chaos', process.execPath, ['scripts/chaos.mjs', '--seed', '4', '--minutes', '1']],
];
for (const [index, [title, command, args]] of steps.entries()) {
  const started = Date.now();
  process.stdout.write(`\n[${index + 1}/${steps.length}] ${title}\n`);
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) process.stderr.write(`verify: ${command}: ${error.message}\n`);
  if (status !== 0) {
    process.stderr.write(`verify: step "${title}" failed\n`);
    process.exit(1);
  }
  process.stdout.write(`    ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
}
process.stdout.write('\nverify: all steps passed\n');
