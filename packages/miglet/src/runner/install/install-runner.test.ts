/** Installations for real: an archive over TLS, a controller over HTTP, folders on disk. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createLogger, silentLogger } from '@mig/common/logger';
import type { Outcome } from '@mig/common/outcome';
import { until } from '@mig/testkit/github/until';
import { installStandInRunner } from '@mig/testkit/runner/install';
import { createManualClock } from '../../../../common/src/manual-clock.contract.js';
import { runnerDirectory } from '../runner-directory.js';
import { createInstallGround, type InstallGround } from './install-ground.contract.js';
import { createInstaller } from './install-runner.js';
import { createReleaseServer, sha256 } from './release-server.contract.js';

const never = new AbortController().signal;
const reasonOf = (outcome: Outcome<unknown>): string => (outcome.kind === 'ok' ? '' : outcome.reason);

let ground: InstallGround;

beforeEach(async () => {
  ground = await createInstallGround();
});
afterEach(() => ground.close());

describe('an installation', () => {
  it('without a word in the configuration installs what the controller says', async () => {
    const outcome = await ground.install();
    expect(outcome).toMatchObject({
      kind: 'ok',
      value: { version: '2.336.0', bytes: ground.archive.length },
    });
    expect(ground.asked).toEqual(['/api/v1/runner-downloads?os=linux&architecture=x64']);
    expect(runnerDirectory(ground.directory).missing()).toBeUndefined();
    expect(ground.beside()).toEqual(['actions-runner']);
    expect(ground.told).toHaveLength(1);
  });

  it('of a version with address and checksum asks nobody', async () => {
    const outcome = await ground.install({
      version: '2.300.1',
      downloadUrl: ground.server.url,
      sha256: sha256(ground.archive),
    });
    expect(outcome).toMatchObject({ kind: 'ok', value: { version: '2.300.1' } });
    expect(ground.asked).toEqual([]);
  });

  it('of the version that GitHub offers takes its checksum from there', async () => {
    expect(await ground.install({ version: '2.336.0' })).toMatchObject({ kind: 'ok' });
    expect(ground.server.requests).toHaveLength(1);
  });

  it('of another version without a checksum says what to set', async () => {
    const outcome = await ground.install({ version: '2.300.0' });
    expect(outcome).toMatchObject({ kind: 'fatal', reason: expect.stringContaining('runner.sha256') });
    expect(ground.server.requests).toEqual([]);
  });

  it('takes the place of an empty folder, and of one with what a registration left', async () => {
    mkdirSync(path.join(ground.directory, '_diag'), { recursive: true });
    writeFileSync(path.join(ground.directory, '.runner'), '{}');
    expect(await ground.install()).toMatchObject({ kind: 'ok' });
    expect(existsSync(path.join(ground.directory, '.runner'))).toBe(false);
    rmSync(ground.directory, { recursive: true });
    mkdirSync(ground.directory);
    expect(await ground.install()).toMatchObject({ kind: 'ok' });
    expect(ground.beside()).toEqual(['actions-runner']);
  });

  it('leaves a runner alone that somebody else put there, and that lacks config.sh', async () => {
    installStandInRunner(ground.directory);
    rmSync(path.join(ground.directory, 'config.sh'));
    expect(await ground.install()).toEqual({ kind: 'ok', value: undefined });
    expect(ground.server.requests).toEqual([]);
  });

  it('says and logs no signature of the address (I8), also of what is no runner', async () => {
    const lines: string[] = [];
    const logger = createLogger({
      name: 'miglet',
      level: 'trace',
      destination: { write: (line: string) => void lines.push(line) },
    });
    const install = () =>
      createInstaller(
        ground.options({
          version: '2.300.1',
          downloadUrl: `${ground.server.url}?sig=S1GNATURE`,
          sha256: sha256(ground.server.archive),
        }),
        { clock: createManualClock(), logger, onInstalled: () => undefined },
      ).install(never);
    expect(await install()).toMatchObject({ kind: 'ok' });
    rmSync(ground.directory, { recursive: true });
    await ground.server.close();
    const archive = await ground.pack((place) => writeFileSync(path.join(place, 'x'), ''));
    ground.server = await createReleaseServer(archive);
    const reason = reasonOf(await install());
    expect(reason).toContain(`${ground.server.url} is no runner`);
    expect(lines.join('')).toContain(ground.server.url);
    expect(`${lines.join('')}${reason}`).not.toContain('S1GNATURE');
  });

  it('does not touch a folder that holds anything else, and downloads nothing', async () => {
    mkdirSync(ground.directory);
    writeFileSync(path.join(ground.directory, 'thesis.txt'), 'five years');
    const outcome = await ground.install();
    expect(outcome).toMatchObject({ kind: 'fatal', reason: expect.stringContaining('thesis.txt') });
    expect(readFileSync(path.join(ground.directory, 'thesis.txt'), 'utf8')).toBe('five years');
    expect(ground.server.requests).toEqual([]);
    expect(ground.beside()).toEqual(['actions-runner']);
  });

  it('does not follow a link to another folder', async () => {
    const elsewhere = path.join(ground.folder, 'elsewhere');
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, ground.directory);
    expect(await ground.install()).toMatchObject({ kind: 'fatal', reason: expect.stringContaining('link') });
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  it('repairs a runner of ours that has lost its program', async () => {
    await ground.install();
    rmSync(path.join(ground.directory, 'bin'), { recursive: true });
    expect(await ground.install()).toMatchObject({ kind: 'ok' });
    expect(runnerDirectory(ground.directory).missing()).toBeUndefined();
  });

  it('goes on one at a time: the second finds the first one done', async () => {
    const one = ground.installer();
    const outcomes = await Promise.all([one.install(never), one.install(never)]);
    expect(outcomes.map(({ kind }) => kind)).toEqual(['ok', 'ok']);
    expect(ground.told).toHaveLength(1);
    expect(ground.server.requests).toHaveLength(1);
    expect(ground.beside()).toEqual(['actions-runner']);
  });

  it('says how far it is, in its words and every five seconds in the log', async () => {
    const lines: string[] = [];
    const clock = createManualClock();
    const one = createInstaller(
      { ...ground.options(), download: { ...ground.options().download, env: {} } },
      {
        clock,
        logger: createLogger({
          name: 't',
          level: 'info',
          destination: { write: (line) => void lines.push(line) },
        }),
        onInstalled: () => undefined,
      },
    );
    ground.server.stallAfter = Math.floor(ground.archive.length / 2);
    const outcome = one.install(never);
    await until('half of it has come', () => one.progress().includes('%'));
    expect(one.progress()).toMatch(/^installs runner 2\.336\.0 \(\d+ %\)$/);
    clock.advance(5_000);
    ground.server.stallAfter = undefined;
    await ground.server.close();
    ground.server = await createReleaseServer(ground.archive);
    await outcome;
    expect(one.progress()).toBe('');
    expect(lines.filter((line) => line.includes('"event":"installing"')).length).toBeGreaterThan(0);
  });
});

describe('an installation that fails leaves nothing behind:', () => {
  it('a wrong checksum is tried once more, and then needs a person', async () => {
    ground.answer.body = { ...ground.offered(), sha256: '0'.repeat(64) };
    const one = ground.installer();
    expect(await one.install(never)).toMatchObject({
      kind: 'retryable',
      reason: expect.stringContaining('SHA-256'),
    });
    expect(ground.beside()).toEqual([]);
    expect(await one.install(never)).toMatchObject({
      kind: 'fatal',
      reason: expect.stringContaining('runner.sha256'),
    });
    expect(ground.beside()).toEqual([]);
    expect(ground.told).toEqual([]);
  });

  it('a controller that knows of none', async () => {
    ground.answer = { status: 404, body: { detail: 'GitHub offers no runner for this' } };
    expect(await ground.install()).toMatchObject({
      kind: 'fatal',
      reason: expect.stringContaining('GitHub offers no runner for this'),
    });
    expect(ground.beside()).toEqual([]);
  });

  it('a controller that cannot say just now, which is asked again', async () => {
    ground.answer = {
      status: 503,
      body: { detail: 'no GitHub is configured' },
      headers: { 'retry-after': '7' },
    };
    expect(await ground.install()).toMatchObject({
      kind: 'retryable',
      afterMs: 7_000,
      reason: expect.stringContaining('no GitHub is configured'),
    });
  });

  it('a controller that is not there', async () => {
    expect(await ground.install({ endpoint: 'http://127.0.0.1:1' })).toMatchObject({
      kind: 'retryable',
      reason: expect.stringContaining('runner.sha256'),
    });
  });

  it.each([
    ['nothing', {}],
    ['http', { version: '2.336.0', url: 'http://x/y', sha256: '0'.repeat(64) }],
    ['another kind of checksum', { version: '2.336.0', url: 'https://x/y', sha256: 'abc' }],
    ['a path for a version', { version: '../../x', url: 'https://x/y', sha256: '0'.repeat(64) }],
  ])('a controller that answers %s', async (_, body) => {
    ground.answer = { status: 200, body };
    expect(await ground.install()).toMatchObject({ kind: 'retryable' });
  });

  it('a machine that GitHub has no runner for', async () => {
    expect(await ground.install({ platform: undefined })).toMatchObject({ kind: 'fatal' });
    expect(await ground.install({ platform: { os: 'win', architecture: 'x64' } })).toMatchObject({
      kind: 'fatal',
    });
  });

  it('an archive that is none', async () => {
    ground.server.archive = Buffer.from('<html>Sign in to the proxy</html>');
    ground.answer.body = ground.offered();
    expect(await ground.install()).toMatchObject({
      kind: 'fatal',
      reason: expect.stringContaining('archive'),
    });
    expect(ground.beside()).toEqual([]);
  });

  it('an archive that was cut', async () => {
    ground.server.archive = ground.archive.subarray(0, Math.floor(ground.archive.length / 2));
    ground.answer.body = ground.offered();
    expect(await ground.install()).toMatchObject({ kind: 'fatal' });
    expect(ground.beside()).toEqual([]);
  });

  it('an archive without a runner in it', async () => {
    ground.server.archive = await ground.pack((place) =>
      writeFileSync(path.join(place, 'config.sh'), '', { mode: 0o755 }),
    );
    ground.answer.body = ground.offered();
    expect(await ground.install()).toMatchObject({
      kind: 'fatal',
      reason: expect.stringContaining('Runner.Listener'),
    });
    expect(ground.beside()).toEqual([]);
  });

  it('an archive whose runner cannot be run', async () => {
    ground.server.archive = await ground.pack((place) => {
      installStandInRunner(place);
      chmodSync(path.join(place, 'bin', 'Runner.Listener'), 0o644);
    });
    ground.answer.body = ground.offered();
    expect(await ground.install()).toMatchObject({
      kind: 'fatal',
      reason: expect.stringContaining('Runner.Listener'),
    });
  });

  it('one that takes too long', async () => {
    ground.server.stallAfter = 10;
    const one = createInstaller(
      { ...ground.options(), timeoutMs: 200 },
      { clock: createManualClock(), logger: silentLogger, onInstalled: () => undefined },
    );
    expect(await one.install(never)).toMatchObject({
      kind: 'retryable',
      reason: expect.stringContaining('given up'),
    });
    expect(ground.beside()).toEqual([]);
  });

  it('one that is not wanted any more', async () => {
    ground.server.stallAfter = 10;
    const abort = new AbortController();
    const outcome = ground.installer().install(abort.signal);
    await until('it downloads', () => ground.server.requests.length > 0);
    abort.abort();
    expect(reasonOf(await outcome)).toContain('given up');
    expect(ground.beside()).toEqual([]);
  });

  it('a folder that it may not write beside', async () => {
    const file = path.join(ground.folder, 'file');
    writeFileSync(file, '');
    ground.directory = path.join(file, 'actions-runner');
    const outcome = await ground.install();
    expect(outcome).toMatchObject({ kind: 'fatal', reason: expect.stringContaining('runner.dir') });
  });
});

describe('a runner that GitHub takes no longer', () => {
  it('is removed if we installed it, and the next one is installed', async () => {
    const one = ground.installer();
    await one.install(never);
    expect(one.forgetInstalled()).toBe('2.336.0');
    expect(ground.beside()).toEqual([]);
    ground.answer.body = ground.offered('2.337.0');
    expect(await one.install(never)).toMatchObject({ kind: 'ok', value: { version: '2.337.0' } });
  });

  it('is not installed once more', async () => {
    const one = ground.installer();
    await one.install(never);
    one.forgetInstalled();
    expect(await one.install(never)).toMatchObject({
      kind: 'fatal',
      reason: expect.stringContaining('2.336.0 no longer'),
    });
    expect(ground.beside()).toEqual([]);
  });

  it('stays if it came with the image', () => {
    installStandInRunner(ground.directory);
    expect(ground.installer().forgetInstalled()).toBeUndefined();
    expect(runnerDirectory(ground.directory).missing()).toBeUndefined();
  });
});
