/**
 * Every process of a runner: its listener, the worker, the steps, and whatever those left behind. None of them outlives it.
 *
 * A job can detach what it starts: a new session, a second fork, SIGTERM ignored. So a process is known as ours by any of
 *
 *   1. its control group (cgroup v2, where the MIGlet may make one): holds whatever was forked, also what cleared its
 *      environment, also another user's;
 *   2. the variable MIG_RUNNER_TREE in the environment it was started with, whose value no other runner has;
 *   3. its process group, which the listener leads;
 *   4. its parent, if that is ours;
 *   5. without a control group: the folder that it works in, if that is the listener's or below it, or the listener's output, if
 *      it writes there, too; not one with a terminal, where a person may sit, nor one that is older than the listener;
 *   6. having been seen as one of these while the runner ran: without a control group it is looked every second.
 *
 * Without /proc (macOS) its group is all that is known of it. What escapes without a control group: a process that cleared its
 * environment, detached itself and left the runner's folder within that second. A number alone proves nothing: it may belong to
 * another process by now, so start times are compared before every kill, and the group counts only if the listener was seen
 * alive. The MIGlet itself is never one of them, nor is whoever started it.
 *
 * The note is kept on disk, so that a later process of the MIGlet finds the tree again.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { identify, isAlive, type ProcessIdentity } from '@mig/common/process-identity';
import { killGroup } from '../processes.js';
import { cgroupOf, createCgroup, openCgroup, type RunnerCgroup } from './cgroup.js';
import { TREE_MARK, createMarked } from './marked.js';
import { isAt, placesOf, type Places } from './process-places.js';
import { readProcessTable, variableOf, type ProcessTable } from './process-table.js';

/** What is kept of a tree over a restart of the MIGlet. */
export interface TreeNote {
  readonly id: string;
  /** Folder of its control group; empty if it has none. */
  readonly cgroup: string;
  /** Where its listener worked, if it has no control group; missing if that was never seen, or an earlier version noted it. */
  readonly places?: Places | undefined;
}

export interface TreeEnd {
  /** Processes that were there. */
  readonly found: number;
  /** Processes that would not end: another user's, or the kernel holds them. The control group may still hold them. */
  readonly left: readonly ProcessIdentity[];
}

export interface RunnerTree {
  /** Complete when its listener runs (`ledBy`). */
  readonly note: TreeNote;
  /** Belongs into the environment of its first process. */
  readonly env: Readonly<Record<string, string>>;
  /** The command that starts the program as a process of the tree, under the number that it is started with. */
  command(file: string, args: readonly string[]): { readonly file: string; readonly args: readonly string[] };
  /** The listener runs: its group is the tree's. */
  ledBy(leader: ProcessIdentity): void;
  /** Processes of it that run now. */
  members(): ProcessIdentity[];
  /**
   * Kills every process of it, again and again until none is left, for at most 10 s. Never rejects; asked twice, the second
   * waits for the same end.
   */
  end(): Promise<TreeEnd>;
  /** Stops looking; the processes go on. */
  release(): void;
}

const END_MS = 10_000;
const FIRST_PAUSE_MS = 10;
const MAX_PAUSE_MS = 200;
const LOOK_MS = 1_000;

export interface TreeOptions {
  /** How a control group is made; default: below that of this process. */
  readonly createCgroup?: (id: string) => RunnerCgroup | undefined;
}

/** The tree of a runner that is about to be started. */
export function createRunnerTree(options: TreeOptions = {}): RunnerTree {
  const id = randomUUID();
  return treeOf(id, (options.createCgroup ?? createCgroup)(id), undefined);
}

/**
 * The tree of a runner that an earlier process of the MIGlet started.
 *
 * @param note what is known of it; undefined = what its listener itself tells
 * @param seen processes that were known as its
 */
export function reopenRunnerTree(
  note: TreeNote | undefined,
  leader: ProcessIdentity,
  seen: readonly ProcessIdentity[] = [],
): RunnerTree {
  const alive = isAlive(leader);
  const id = note?.id ?? (alive ? variableOf(leader.pid, TREE_MARK) : undefined) ?? '';
  const cgroup = openCgroup(note?.cgroup || (alive ? cgroupOf(leader.pid) : ''));
  return treeOf(id, cgroup, { leader, alive, places: note?.places }, seen);
}

/** The listener that an earlier process of the MIGlet started. */
interface Earlier {
  readonly leader: ProcessIdentity;
  readonly alive: boolean;
  readonly places: Places | undefined;
}

function treeOf(
  id: string,
  cgroup: RunnerCgroup | undefined,
  earlier: Earlier | undefined,
  seenBefore: readonly ProcessIdentity[] = [],
): RunnerTree {
  let leader = earlier?.alive === true ? earlier.leader : undefined;
  let places = earlier?.places;
  if (cgroup === undefined && leader !== undefined) places ??= placesOf(leader);
  /** Also of a listener that has ended. */
  let startedAt = earlier?.leader.startedAt;
  const marked = createMarked(id);
  let seen = seenBefore;
  let timer: NodeJS.Timeout | undefined;
  let ending: Promise<TreeEnd> | undefined;

  function members(): ProcessIdentity[] {
    const table = readProcessTable();
    const found = new Set<number>(cgroup?.pids());
    for (const one of seen) if (table.get(one.pid)?.startedAt === one.startedAt) found.add(one.pid);
    if (id !== '') marked.addTo(found, table);
    if (leader !== undefined) addGroup(leader, table, found);
    if (places !== undefined) addNeighbours(places, Number(startedAt), table, found);
    addDescendants(table, found);
    for (const pid of ancestry(table)) found.delete(pid);
    const present = [...found].flatMap((pid) => table.get(pid) ?? []);
    // A control group forgets nobody.
    if (cgroup === undefined) seen = present;
    return present;
  }

  function startLooking(): void {
    clearInterval(timer);
    if (cgroup === undefined && leader !== undefined) timer = setInterval(members, LOOK_MS).unref();
  }

  async function end(): Promise<TreeEnd> {
    const found = new Set<string>();
    // Without /proc (macOS) there is nothing but the group.
    if (leader !== undefined && readProcessTable().size === 0) killGroup(leader.pid);
    const giveUpAt = performance.now() + END_MS;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      const left = members();
      for (const member of left) found.add(`${member.pid} ${member.startedAt}`);
      const done = left.length === 0;
      if (done || performance.now() > giveUpAt) {
        clearInterval(timer);
        cgroup?.remove();
        return { found: found.size, left };
      }
      cgroup?.kill();
      // By hand too: what left the control group is found by its mark.
      for (const member of left) kill(member);
      await pause(pauseMs);
    }
  }

  startLooking();
  return {
    get note() {
      return { id, cgroup: cgroup?.path ?? '', places };
    },
    env: { [TREE_MARK]: id },
    command: (file, args) =>
      cgroup === undefined
        ? { file, args }
        : // Before anything of it runs; a group that has gone meanwhile keeps no runner from starting.
          { file: '/bin/sh', args: ['-c', ENTER, 'sh', cgroup.procsFile, file, ...args] },
    ledBy(process) {
      leader = process;
      startedAt = process.startedAt;
      if (cgroup === undefined) places = placesOf(process);
      startLooking();
    },
    members,
    end: () => (ending ??= end().finally(() => (ending = undefined))),
    release: () => clearInterval(timer),
  };
}

/** `$1` is the file that the shell writes its own number into; the program then takes its place. */
const ENTER = '{ echo $$ >"$1"; } 2>/dev/null; shift; exec "$@"';

/** While a process of the group lives, the kernel gives its number to no other; afterwards another may have it. */
function addGroup(leader: ProcessIdentity, table: ProcessTable, found: Set<number>): void {
  const holder = table.get(leader.pid);
  if (holder !== undefined && holder.startedAt !== leader.startedAt) return;
  for (const { pid, groupId } of table.values()) if (groupId === leader.pid) found.add(pid);
}

/** What works where the listener works, and has the mark of no runner. */
function addNeighbours(places: Places, sinceTicks: number, table: ProcessTable, found: Set<number>): void {
  const own = ancestry(table);
  for (const { pid, startedAt, hasTerminal } of table.values()) {
    const candidate = !found.has(pid) && !own.has(pid) && !hasTerminal && Number(startedAt) >= sinceTicks;
    if (candidate && isAt(pid, places) && variableOf(pid, TREE_MARK) === undefined) found.add(pid);
  }
}

/** This process, and those that it descends from. */
function ancestry(table: ProcessTable): Set<number> {
  const found = new Set([process.pid]);
  for (const pid of found) {
    const parent = table.get(pid)?.parentPid ?? 0;
    if (parent > 0) found.add(parent);
  }
  return found;
}

function addDescendants(table: ProcessTable, found: Set<number>): void {
  const children = new Map<number, number[]>();
  for (const { pid, parentPid } of table.values())
    children.set(parentPid, [...(children.get(parentPid) ?? []), pid]);
  // A set that grows while it is walked is walked to its end.
  for (const pid of found)
    for (const child of children.get(pid) ?? []) if (child !== process.pid) found.add(child);
}

function kill(member: ProcessIdentity): void {
  if (identify(member.pid).startedAt !== member.startedAt) return;
  try {
    process.kill(member.pid, 'SIGKILL');
  } catch {
    // It has ended, or is another user's: the next look says which.
  }
}
