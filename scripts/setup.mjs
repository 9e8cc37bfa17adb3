// Makes the working copy ready: dependencies, generated code, compiled packages, bundles. Does only what is missing or out
// of date, so that it costs next to nothing when there is nothing to do. `npm start`, `npm test` and `npm run verify` begin
// with it; run it by hand with `npm run setup`. Needs Node and npm, nothing else.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const INSTALL_STAMP = path.join(ROOT, 'node_modules', '.mig-installed');
const GENERATE_STAMP = path.join(ROOT, '.cache', 'generated');
const BUILD_STAMP = path.join(ROOT, '.cache', 'built');
const MINIMUM_NODE = [20, 19];
const OUTPUTS = [
  'packages/cli/dist/main.js',
  'packages/testkit/dist/demo/main.js',
  'packages/controller/bundle/controller.mjs',
  'packages/miglet/bundle/miglet.mjs',
  'packages/controller/bundle/controller.test-points.mjs',
  'packages/miglet/bundle/miglet.test-points.mjs',
];

/** @param {{ quiet?: boolean, forceBuild?: boolean }} options quiet: what the steps print is shown only if they fail */
export function setUp(options = {}) {
  checkNode();
  const steps = [];
  const lockHash = hash(['package-lock.json']);
  if (!isInstalled(lockHash)) {
    steps.push({
      title: 'installing the dependencies (a minute or so, once)',
      run: () => npm(['ci', '--no-audit', '--no-fund', '--loglevel=error'], options),
      done: () => writeFileSync(INSTALL_STAMP, lockHash),
    });
  }
  const protoHash = hash([
    'proto',
    'buf.yaml',
    'buf.gen.yaml',
    'scripts/generate-proto.sh',
    'package-lock.json',
  ]);
  if (
    read(GENERATE_STAMP) !== protoHash ||
    !existsSync(path.join(ROOT, 'packages/common/src/gen/commands.ts'))
  ) {
    steps.push({
      title: 'generating code from proto/',
      run: () => run('bash', ['scripts/generate-proto.sh'], options),
      done: () => stamp(GENERATE_STAMP, protoHash),
    });
  }
  const sourceHash = hash([
    ...packageSources(),
    'proto',
    'tsconfig.base.json',
    'tsconfig.json',
    'package-lock.json',
    'scripts/bundle.mjs',
  ]);
  const built =
    read(BUILD_STAMP) === sourceHash && OUTPUTS.every((file) => existsSync(path.join(ROOT, file)));
  if (!built || options.forceBuild) {
    steps.push({
      title: 'compiling',
      run: () => {
        run(process.execPath, ['node_modules/typescript/bin/tsc', '-b'], options);
        run(process.execPath, ['scripts/bundle.mjs'], options);
      },
      done: () => stamp(BUILD_STAMP, sourceHash),
    });
  }
  steps.forEach((step, index) => {
    process.stdout.write(`[${index + 1}/${steps.length}] ${step.title}\n`);
    step.run();
    step.done();
  });
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1])) return;
  fail(`Node ${process.versions.node} is too old: this needs ${MINIMUM_NODE.join('.')} or newer`);
}

/** Installed by us from this lock file, or by somebody's own `npm ci` or `npm install` after it was last changed. */
function isInstalled(lockHash) {
  const stamped = read(INSTALL_STAMP);
  if (stamped !== undefined) return stamped === lockHash;
  const hidden = path.join(ROOT, 'node_modules', '.package-lock.json');
  if (!existsSync(hidden)) return false;
  if (statSync(hidden).mtimeMs < statSync(path.join(ROOT, 'package-lock.json')).mtimeMs) return false;
  writeFileSync(INSTALL_STAMP, lockHash);
  return true;
}

function packageSources() {
  return readdirSync(path.join(ROOT, 'packages')).flatMap((name) => [
    `packages/${name}/src`,
    `packages/${name}/package.json`,
    `packages/${name}/tsconfig.json`,
  ]);
}

/** One hash of the names and contents of files and folders; generated code and tests are not compiled from them. */
function hash(names) {
  const digest = createHash('sha256');
  for (const name of names) {
    for (const file of listFiles(path.join(ROOT, name))) {
      digest.update(path.relative(ROOT, file)).update('\0').update(readFileSync(file)).update('\0');
    }
  }
  return digest.digest('hex');
}

function listFiles(entry) {
  if (!existsSync(entry)) return [];
  if (!statSync(entry).isDirectory()) return /\.(test|contract)\.ts$/.test(entry) ? [] : [entry];
  if (path.basename(entry) === 'gen') return [];
  return readdirSync(entry)
    .sort()
    .flatMap((name) => listFiles(path.join(entry, name)));
}

function npm(args, options) {
  // Under npm its own program is named; otherwise `npm` is on the path.
  const program = process.env.npm_execpath;
  if (program) run(process.execPath, [program, ...args], options);
  else run('npm', args, options);
}

function run(command, args, { quiet = false }) {
  const result = spawnSync(command, args, { cwd: ROOT, stdio: quiet ? 'pipe' : 'inherit', encoding: 'utf8' });
  if (result.error) fail(`${command} could not be run: ${result.error.message}`);
  if (result.status === 0) return;
  if (quiet) process.stderr.write(`${result.stdout}${result.stderr}`);
  fail(
    `"${path.basename(command)} ${args.join(' ')}" failed (${result.status ?? result.signal}); what it said is above`,
  );
}

function stamp(file, content) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
}

function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

function fail(message) {
  process.stderr.write(`setup: ${message}\n`);
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const forceBuild = process.argv.includes('--force-build');
  if (forceBuild) rmSync(BUILD_STAMP, { force: true });
  setUp({ forceBuild });
}
