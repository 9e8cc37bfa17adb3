/**
 * Named points of the code at which a test stops or kills the process, to see what a crash exactly there leaves.
 *
 * Production has none of it: the bundler puts `false` for MIG_TEST_POINTS (scripts/bundle.mjs), and drops the calls with
 * what they call; run unbundled, the name is not defined, and nothing happens. A bundle with test points
 * (`*.test-points.mjs`) reads its plan from the variable MIG_TEST_POINTS_PLAN:
 *
 *   intake.taken=kill@3,results.journaled=kill@p0.02,stream.sent=stop@5;seed=7
 *
 * An entry is a point, what the process does to itself there (`kill`: SIGKILL; `stop`: SIGSTOP, until somebody sends
 * SIGCONT), and when: at the passage of this number, counted from 1 in each process, or (`p`) at any passage with this
 * probability. Chance follows the seed (default 1): the same seed and the same passages give the same. So whoever starts a
 * killed process again changes its seed, or it dies in the same place again.
 */

/** Put in by the bundler. */
declare const MIG_TEST_POINTS: boolean | undefined;

/** Every point. What its name says has just happened, and nothing that follows from it. */
export const TEST_POINTS = [
  // MIGlet: a command comes in.
  /** It is journaled; its effect has not begun, and the controller has not heard that it came. */
  'intake.taken',
  /** `received` is on its way; the effect has not begun. */
  'intake.acknowledged',
  // MIGlet: its result goes out.
  /** The effect has ended; its result is not journaled. */
  'results.reached',
  /** The result is journaled, and not sent. */
  'results.journaled',
  /** The result is handed to the stream. */
  'results.sent',
  /** The controller has recorded the result, and the journal knows it. */
  'results.reported',
  // MIGlet: events, the stream, drains.
  /** An event is journaled, and not sent. */
  'events.journaled',
  'events.sent',
  /** The controller has stored events, and the journal has dropped them. */
  'events.acknowledged',
  /** The controller has accepted a stream; nothing was sent on it. */
  'session.opened',
  /** A message, of any kind, is handed to gRPC. */
  'stream.sent',
  /** That the VM is drained, or is not any more, is on disk. */
  'drain.remembered',
  // Controller: commands.
  /** A command is stored; its caller has not heard so. */
  'commands.stored',
  /** `sent` is stored; the command is not on the stream. */
  'commands.sentStored',
  /** The command is on the stream. */
  'commands.sent',
  /** The VM's word on a command is stored; the VM has not heard so. */
  'commands.ackStored',
  // Controller: events, drains, the store.
  /** An event is stored, and not acknowledged. */
  'events.stored',
  /** A drain is stored; its caller has not heard so. */
  'drains.stored',
  /** The progress of a drain is stored; what follows from it is not done. */
  'drains.progress',
  /** A file of the store is in its place. */
  'store.written',
  /** A line of the store's log is on disk. */
  'store.logged',
] as const;
export type TestPoint = (typeof TEST_POINTS)[number];

/** The process passes this point: it goes on, unless the plan of a test says otherwise. */
export function testPoint(name: TestPoint): void {
  if (typeof MIG_TEST_POINTS !== 'undefined' && MIG_TEST_POINTS) passPlanned(name);
}

let pass: ((name: TestPoint) => void) | undefined;

/** @throws Error at the first point that is passed, if the plan is none: a test that tests nothing must not pass */
function passPlanned(name: TestPoint): void {
  pass ??= createPlan(process.env['MIG_TEST_POINTS_PLAN'] ?? '', (signal) =>
    process.kill(process.pid, signal),
  );
  pass(name);
}

const SIGNALS = { kill: 'SIGKILL', stop: 'SIGSTOP' } as const;

/**
 * @param text as in the variable; empty = nothing happens anywhere
 * @returns is called at every passage
 * @throws Error naming the entry that is not understood, and what is allowed
 */
export function createPlan(
  text: string,
  signal: (name: 'SIGKILL' | 'SIGSTOP') => void,
): (name: TestPoint) => void {
  const { entries, seed } = parsePlan(text);
  const random = createRandom(seed);
  const passages = new Map<TestPoint, number>();
  return (name) => {
    const passage = (passages.get(name) ?? 0) + 1;
    passages.set(name, passage);
    for (const entry of entries) {
      if (entry.point !== name) continue;
      if (entry.passage === undefined ? random() < entry.probability : entry.passage === passage)
        signal(SIGNALS[entry.does]);
    }
  };
}

interface Entry {
  readonly point: TestPoint;
  readonly does: keyof typeof SIGNALS;
  /** Undefined = by chance. */
  readonly passage: number | undefined;
  readonly probability: number;
}

function parsePlan(text: string): { readonly entries: readonly Entry[]; readonly seed: number } {
  const [list = '', ...options] = text.split(';');
  let seed = 1;
  for (const option of options) {
    const [, value] = /^seed=(\d+)$/.exec(option) ?? [];
    if (value === undefined) throw new Error(`MIG_TEST_POINTS_PLAN: ${option} is not seed=NUMBER`);
    seed = Number(value);
  }
  return { entries: list === '' ? [] : list.split(',').map(parseEntry), seed };
}

function parseEntry(text: string): Entry {
  const [, name, does, chance, number] = /^([\w.]+)=(kill|stop)@(p?)(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  const point = TEST_POINTS.find((candidate) => candidate === name);
  const value = Number(number);
  const inRange = chance === 'p' ? value <= 1 : Number.isInteger(value) && value > 0;
  if (point === undefined || !inRange) {
    throw new Error(
      `MIG_TEST_POINTS_PLAN: ${text} is not POINT=kill@N, POINT=stop@N or POINT=kill@pCHANCE, with POINT one of ${TEST_POINTS.join(', ')}`,
    );
  }
  return {
    point,
    does: does as Entry['does'],
    passage: chance === 'p' ? undefined : value,
    probability: value,
  };
}

/** mulberry32: numbers in [0, 1), the same for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
