/** Trees of real processes that detach themselves in every way that a job knows, and of which none may be left. */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { identify, isAlive, type ProcessIdentity } from '@mig/common/process-identity';
import { until } from '@mig/testkit/github/until';
import { canMakeCgroup, createCgroup } from './cgroup.js';
import { createRunnerTree, reopenRunnerTree, type RunnerTree, type TreeNote } from './runner-tree.js';

let folder: string;
const started: ProcessIdentity[] = [];

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-tree-'));
});
afterEach(() => {
  for (const one of started.splice(0)) if (isAlive(one)) process.kill(one.pid, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const without = (): RunnerTree => createRunnerTree({ createCgroup: () => undefined });

/** Starts a shell script as the leader of the tree, and waits until it has noted so many processes in `pids`. */
async function start(
  tree: RunnerTree,
  script: string,
  count: number,
  stdio: StdioOptions = 'ignore',
): Promise<ChildProcess> {
  const { file, args } = tree.command('/bin/sh', ['-c', script]);
  const env = { PATH: process.env['PATH'], FOLDER: folder, ...tree.env };
  const leader = spawn(file, args, { cwd: folder, env, stdio, detached: true });
  await new Promise((resolve) => leader.once('spawn', resolve));
  const identity = identify(leader.pid ?? 0);
  started.push(identity);
  tree.ledBy(identity);
  await until('they run', () => noted().length >= count);
  started.push(...noted().map(identify));
  return leader;
}

/** The processes that the scripts noted, whatever became of them. */
function noted(): number[] {
  const file = path.join(folder, 'pids');
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number) : [];
}

/** Of the machine's clock, by which the start of a process is told (proc(5): 100 a second). */
const ticks = (): number => 100 * Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);

/** Those of this test that still run. */
const running = (): ProcessIdentity[] => started.filter(isAlive);

/** A process that notes itself and stays. The longest that it can outlive a failed test is a minute. */
const STAY = 'echo $$ >>"$FOLDER/pids"; exec sleep 60';
const DAEMON = `trap "" TERM INT HUP; ${STAY}`;

const DETACHED: readonly (readonly [string, string])[] = [
  ['in its own group', `sh -c '${STAY}' & wait`],
  ['in a session of its own', `setsid sh -c '${STAY}' & wait`],
  ['forked twice, so that its parent is gone', `sh -c "setsid sh -c '${STAY}' &"; ${STAY}`],
  ['deaf to SIGTERM', `sh -c "setsid sh -c '${DAEMON}' &"; ${STAY}`],
];

describe('the end of a tree', () => {
  it.each(DETACHED)('ends a process %s', async (_, script) => {
    const tree = without();
    await start(tree, script, 1);
    const { found, left } = await tree.end();
    expect(found).toBeGreaterThanOrEqual(2);
    expect(left).toEqual([]);
    expect(running()).toEqual([]);
  });

  it('ends what a leader left that is gone already', async () => {
    const tree = without();
    const leader = await start(tree, `setsid sh -c '${DAEMON}' & exit 0`, 1);
    await until('the leader is gone', () => leader.exitCode !== null || leader.signalCode !== null);
    expect(running()).toHaveLength(1);
    expect(await tree.end()).toEqual({ found: 1, left: [] });
    expect(running()).toEqual([]);
  });

  it('ends one that forks while it is being killed', async () => {
    const tree = without();
    await start(
      tree,
      `for i in 1 2 3 4 5 6; do setsid sh -c 'i=0; while [ $i -lt 200 ]; do i=$((i+1)); (echo $$ >>"$FOLDER/pids"; sleep 60) & sleep 0.01; done' & done; wait`,
      10,
    );
    expect((await tree.end()).left).toEqual([]);
    started.push(
      ...noted()
        .map(identify)
        .filter(({ startedAt }) => startedAt !== ''),
    );
    expect(tree.members()).toEqual([]);
  });

  it('ends one that cleared its environment and left its parents, if it was seen before that', async () => {
    const tree = without();
    const leave = `env -i FOLDER="$FOLDER" PATH="$PATH" setsid sh -c '${STAY}' & until [ -e "$FOLDER/go" ]; do sleep 0.02; done`;
    await start(tree, `(${leave}) & ${STAY}`, 2);
    const before = tree.members().length;
    writeFileSync(path.join(folder, 'go'), '');
    await until('its parents are gone', () => tree.members().length < before);
    expect((await tree.end()).left).toEqual([]);
    expect(running()).toEqual([]);
  });

  it('ends one that cleared its environment and left its parents at once, by where it works', async () => {
    const tree = without();
    await start(tree, `(env -i FOLDER="$FOLDER" PATH="$PATH" setsid sh -c '${DAEMON}' &) ; exec sleep 60`, 1);
    expect(tree.members()).toHaveLength(2);
    expect((await tree.end()).left).toEqual([]);
    expect(running()).toEqual([]);
  });

  it('ends one that did so below the folder, when its leader is gone and another MIGlet looks', async () => {
    const tree = without();
    const script = `mkdir "$FOLDER/w"; (cd "$FOLDER/w"; env -i FOLDER="$FOLDER" PATH="$PATH" setsid sh -c '${DAEMON}' &)`;
    const leader = await start(tree, `${script}; until [ -e "$FOLDER/go" ]; do sleep 0.02; done`, 1);
    const note = JSON.parse(JSON.stringify(tree.note)) as TreeNote;
    tree.release();
    writeFileSync(path.join(folder, 'go'), '');
    await until('the leader is gone', () => leader.exitCode !== null);
    const [identity] = started;
    const again = reopenRunnerTree(note, identity ?? { pid: 0, startedAt: '' });
    expect(await again.end()).toEqual({ found: 1, left: [] });
    expect(running()).toEqual([]);
  });

  it('ends one that did so elsewhere, and still writes into the output of its leader', async () => {
    const output = openSync(path.join(folder, 'output'), 'a');
    const tree = without();
    const script = `(cd /; env -i FOLDER="$FOLDER" PATH="$PATH" setsid sh -c '${DAEMON}' &) ; exec sleep 60`;
    await start(tree, script, 1, ['ignore', output, output]);
    closeSync(output);
    expect(tree.members()).toHaveLength(2);
    expect((await tree.end()).left).toEqual([]);
    expect(running()).toEqual([]);
  });

  it('never touches one that works in its folder, and is older than its leader', async () => {
    const bystander = spawn('sleep', ['60'], { cwd: folder, stdio: 'ignore', detached: true });
    const identity = identify(bystander.pid ?? 0);
    started.push(identity);
    await until('its tick of the clock is over', () => ticks() > Number(identity.startedAt) + 1);
    const tree = without();
    await start(tree, STAY, 1);
    expect(tree.members()).toHaveLength(1);
    await tree.end();
    expect(running()).toHaveLength(1);
  });

  it('never touches one that only shares /dev/null with its leader', async () => {
    const tree = without();
    await start(tree, STAY, 1);
    const bystander = spawn('sleep', ['60'], { cwd: '/', stdio: 'ignore', detached: true });
    started.push(identify(bystander.pid ?? 0));
    await tree.end();
    expect(running()).toHaveLength(1);
  });

  it('never touches one that works in its folder, and is of another runner', async () => {
    const tree = without();
    await start(tree, STAY, 1);
    const other = without();
    await start(other, STAY, 2);
    await tree.end();
    expect(other.members()).toHaveLength(1);
    await other.end();
    expect(running()).toEqual([]);
  });

  it('never touches another process: nor this one, nor one with the mark of another tree', async () => {
    const other = without();
    await start(other, STAY, 1);
    const tree = without();
    await start(tree, STAY, 2);
    await tree.end();
    expect(other.members()).toHaveLength(1);
    await other.end();
    expect(running()).toEqual([]);
  });

  it('never touches a process whose number the leader had before', async () => {
    const other = without();
    const bystander = await start(other, STAY, 1);
    const tree = without();
    // The number of a process that lives, with the start time of one that does not.
    tree.ledBy({ pid: bystander.pid ?? 0, startedAt: '1' });
    expect(tree.members()).toEqual([]);
    expect(await tree.end()).toEqual({ found: 0, left: [] });
    expect(other.members()).toHaveLength(1);
    await other.end();
  });

  it('of a tree without a process is quick', async () => {
    expect(await without().end()).toEqual({ found: 0, left: [] });
  });

  it('asked for twice is one', async () => {
    const tree = without();
    await start(tree, DAEMON, 1);
    const ends = await Promise.all([tree.end(), tree.end()]);
    expect(ends[0]).toBe(ends[1]);
    expect(running()).toEqual([]);
  });
});

describe('a tree that an earlier process of the MIGlet left', () => {
  it('is found by its note, with what its leader left', async () => {
    const first = without();
    const leader = await start(first, `setsid sh -c '${DAEMON}' & exit 0`, 1);
    await until('the leader is gone', () => leader.exitCode !== null);
    const again = reopenRunnerTree(first.note, { pid: leader.pid ?? 0, startedAt: '1' });
    expect(again.members()).toHaveLength(1);
    expect((await again.end()).left).toEqual([]);
    expect(running()).toEqual([]);
  });

  it('is found without a note by the leader itself', async () => {
    const first = without();
    const leader = await start(first, `setsid sh -c '${DAEMON}' & exec sleep 60`, 1);
    const again = reopenRunnerTree(undefined, identify(leader.pid ?? 0));
    expect(again.note.id).toBe(first.note.id);
    expect((await again.end()).left).toEqual([]);
    expect(running()).toEqual([]);
  });

  it('of an older MIGlet, which has no mark, is its group and what that started', async () => {
    const leader = spawn('/bin/sh', ['-c', `sh -c '${STAY}' & wait`], {
      cwd: folder,
      env: { PATH: process.env['PATH'], FOLDER: folder },
      stdio: 'ignore',
      detached: true,
    });
    await until('they run', () => noted().length === 1);
    started.push(identify(leader.pid ?? 0), ...noted().map(identify));
    const tree = reopenRunnerTree(undefined, identify(leader.pid ?? 0));
    expect((await tree.end()).left).toEqual([]);
    expect(running()).toEqual([]);
  });
});

/** Only where the system lets this process make groups of version 2: as root, or with a group that was handed over. */
const probe = createCgroup('probe-of-a-test');
probe?.remove();
const withCgroup = probe === undefined ? it.skip : it;

describe('the control group of a tree', () => {
  withCgroup(
    'holds a process that cleared its environment and left its parents, and is gone in the end',
    async () => {
      const tree = createRunnerTree();
      expect(existsSync(tree.note.cgroup)).toBe(true);
      await start(
        tree,
        `(env -i FOLDER="$FOLDER" PATH="$PATH" setsid sh -c '${DAEMON}' &) ; exec sleep 60`,
        1,
      );
      expect(tree.members()).toHaveLength(2);
      expect((await tree.end()).left).toEqual([]);
      expect(running()).toEqual([]);
      expect(existsSync(tree.note.cgroup)).toBe(false);
    },
  );

  withCgroup('is found again by the leader alone', async () => {
    const tree = createRunnerTree();
    const leader = await start(tree, DAEMON, 1);
    const again = reopenRunnerTree(undefined, identify(leader.pid ?? 0));
    expect(again.note).toEqual(tree.note);
    expect((await again.end()).left).toEqual([]);
    expect(running()).toEqual([]);
    expect(existsSync(tree.note.cgroup)).toBe(false);
  });

  withCgroup('that is gone keeps no program from starting', async () => {
    const tree = createRunnerTree();
    rmdirSync(tree.note.cgroup);
    await start(tree, STAY, 1);
    expect((await tree.end()).left).toEqual([]);
    expect(running()).toEqual([]);
  });

  it('is known to be impossible before a runner is started', () => {
    expect(canMakeCgroup(folder)).toBe(false);
    expect(canMakeCgroup()).toBe(probe !== undefined);
  });

  it('cannot be made in a folder that is no group, and leaves nothing there', () => {
    expect(createCgroup('x', folder)).toBeUndefined();
    expect(existsSync(path.join(folder, 'mig-runner-x'))).toBe(false);
    expect(createCgroup('x', path.join(folder, 'nowhere'))).toBeUndefined();
  });
});
