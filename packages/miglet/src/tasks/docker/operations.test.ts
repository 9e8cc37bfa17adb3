/** Against a real engine's socket if MIG_TEST_DOCKER_SOCKET names one, else against the stand-in. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { DockerOperation } from '@mig/common/domain/task';
import { startStandInEngine, type StandInEngine } from '@mig/testkit/docker/stand-in-engine';
import { until } from '@mig/testkit/github/until';
import { createEngine, type Engine } from './engine.js';
import { runDocker } from './operations.js';

const REAL_SOCKET = process.env['MIG_TEST_DOCKER_SOCKET'];
const IMAGE = 'busybox';

let folder = '';
let standIn: StandInEngine | undefined;
let engine: Engine;

beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-docker-'));
  standIn =
    REAL_SOCKET === undefined ? await startStandInEngine(path.join(folder, 'docker.sock')) : undefined;
  engine = createEngine(REAL_SOCKET ?? path.join(folder, 'docker.sock'));
});
afterEach(async () => {
  await engine.close();
  await standIn?.close();
  rmSync(folder, { recursive: true, force: true });
});

const RUN: Extract<DockerOperation, { kind: 'run' }> = {
  kind: 'run',
  image: IMAGE,
  name: '',
  command: [],
  env: [],
  volumes: [],
  ports: [],
  workdir: '',
  user: '',
  network: '',
  labels: {},
  detach: false,
  rm: true,
  pull: false,
  memory: 0,
  cpus: 0,
};

function start(operation: DockerOperation, on: Engine = engine) {
  const abort = new AbortController();
  const text = { stdout: '', stderr: '' };
  const result = runDocker(operation, {
    engine: on,
    graceMs: 1_000,
    rawOutput: false,
    output: {
      write(stream, data) {
        text[stream] += Buffer.from(data).toString();
        return Promise.resolve();
      },
    },
    signal: abort.signal,
  });
  return { text, result, abort };
}
const perform = async (operation: DockerOperation) => {
  const { text, result } = start(operation);
  return { ...(await result), ...text };
};
const shell = (script: string, more: Partial<typeof RUN> = {}) =>
  ({ ...RUN, command: ['sh', '-c', script], ...more }) as const;

describe('docker run', () => {
  it('pulls an image that is not there and tells how it goes, runs it, and gives output and exit code', async () => {
    const { result, text } = start(
      shell('echo out; echo err >&2; echo $NAME; exit 3', { env: ['NAME=a=b'] }),
    );
    expect(await result).toMatchObject({ success: false, exitCode: 3 });
    expect(text.stdout).toBe('out\na=b\n');
    expect(text.stderr).toContain('Pull');
    expect(text.stderr).toMatch(/err\n$/);
    // Counting on is not told line by line.
    expect(text.stderr.split('\n').length).toBeLessThan(20);
  });

  it('an image that is there is not pulled again; a container that is not to stay is removed', async () => {
    await perform({ kind: 'pull', image: IMAGE });
    expect((await perform(shell('true', { name: 'short' }))).stderr).toBe('');
    const { containers } = await perform({ kind: 'list', all: true });
    expect(containers?.flatMap(({ names }) => names)).not.toContain('short');
  });

  it('that is cancelled stops its container', async () => {
    await perform({ kind: 'pull', image: IMAGE });
    const { result, text, abort } = start(shell('echo up; exec sleep 600', { name: 'long' }));
    await until('it runs', () => text.stdout === 'up\n', 10_000);
    abort.abort();
    expect(await result).toMatchObject({ success: false, message: '' });
    const { containers } = await perform({ kind: 'list', all: true });
    expect(containers?.flatMap(({ names }) => names)).not.toContain('long');
  });
});

describe('a container that is detached', () => {
  it('goes on; it is listed, its logs are followed, it is stopped, started and removed', async () => {
    const ran = await perform(shell('echo hello; exec sleep 600', { name: 'web', detach: true, rm: false }));
    expect(ran).toMatchObject({ success: true });
    expect(ran.containerId).toMatch(/^[0-9a-f]{64}$/);
    const { containers } = await perform({ kind: 'list', all: false });
    expect(containers).toContainEqual(
      expect.objectContaining({ names: ['web'], state: 'running', image: IMAGE }),
    );

    const follow = start({ kind: 'logs', container: 'web', follow: true, tail: 0, timestamps: false });
    await until('its log is seen', () => follow.text.stdout === 'hello\n', 10_000);
    follow.abort.abort();
    expect(await follow.result).toMatchObject({ success: false });

    expect(await perform({ kind: 'stop', container: 'web', timeout: 1 })).toMatchObject({ success: true });
    expect(await perform({ kind: 'stop', container: 'web', timeout: 1 })).toMatchObject({ success: true });
    expect(await perform({ kind: 'start', container: 'web' })).toMatchObject({ success: true });
    const refused = await perform({ kind: 'remove', container: 'web', force: false, volumes: false });
    expect(refused.success).toBe(false);
    expect(refused.message).toMatch(/running/);
    expect(await perform({ kind: 'remove', container: 'web', force: true, volumes: true })).toMatchObject({
      success: true,
    });
  });
});

describe('what cannot be done', () => {
  it('a container that is not there, and an image that cannot be pulled, are named', async () => {
    expect((await perform({ kind: 'start', container: 'nowhere' })).message).toMatch(/No such container/);
    const pulled = await perform({ kind: 'pull', image: 'registry.invalid/tool' });
    expect(pulled).toMatchObject({ success: false });
    expect(pulled.message).toMatch(/registry\.invalid/);
  });

  it('without an engine everything fails at once, and says where none is', async () => {
    const absent = createEngine(path.join(folder, 'no.sock'));
    const { success, message } = await start({ kind: 'list', all: true }, absent).result;
    expect(success).toBe(false);
    expect(message).toContain(`no Docker engine answers at ${path.join(folder, 'no.sock')}`);
    expect(message).toContain('tasks.docker_socket');
    await absent.close();
  });

  it('an engine that takes the connection and says nothing does not keep a cancelled task', async () => {
    const taken: net.Socket[] = [];
    const silent = net.createServer((socket) => taken.push(socket));
    const socket = path.join(folder, 'silent.sock');
    await new Promise<void>((resolve) => silent.listen(socket, resolve));
    const mute = createEngine(socket);
    const { result, abort } = start({ kind: 'list', all: true }, mute);
    await new Promise<void>((resolve) => silent.once('connection', () => resolve()));
    abort.abort();
    expect(await result).toMatchObject({ success: false });
    await mute.close();
    for (const one of taken) one.destroy();
    await new Promise((resolve) => silent.close(resolve));
  });
});
