/**
 * The lines of the runner's listener that say what it does.
 *
 * Source: actions/runner 2.336.0, src/Runner.Listener: Runner.cs:491 ("Listening for Jobs"), :361 ("Exiting..."), :820-885 ("The
 * runner no longer exists on the server"), JobDispatcher.cs:378 ("Running job: NAME"), :591 and :701 ("Job NAME completed with
 * result: RESULT"), BrokerMessageListener.cs:434 ("Acknowledging runner request"), MessageListener.cs (sessions, connections),
 * SelfUpdater.cs ("Runner update in progress").
 *
 * With ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT=1 the runner's own log is there too: `[RUNNER TIME LEVEL SOURCE] text`, the worker's as
 * `[WORKER …`, and each line of the terminal a second time, as `WRITE LINE: …` of such a line. What a job prints is never at the
 * start of a line. So every pattern is anchored at the start: nothing is counted twice, and nothing of a job's own output counts.
 *
 * What a job's name holds comes from outside: with line breaks in it, it can begin a line. So no line alone ends a job, or a
 * runner: the worker's process is the second witness (job-watch.ts).
 */
export type RunnerLine = {
  /** By the line's own time, milliseconds since 1970, the same however often it is read; 0 where the line has none. */
  readonly at: number;
} & (
  | { readonly kind: 'listening' }
  | { readonly kind: 'jobStarted'; readonly name: string }
  | { readonly kind: 'jobCompleted'; readonly name: string; readonly result: string }
  /** GitHub has handed it a job. It acquires and begins it next, or skips it. */
  | { readonly kind: 'acknowledged'; readonly requestId: string }
  | { readonly kind: 'skipped' }
  | { readonly kind: 'disconnected'; readonly reason: string }
  | { readonly kind: 'reconnected' }
  | { readonly kind: 'updating' }
  /** Another process has, or had a moment ago, a session as this runner. */
  | { readonly kind: 'sessionConflict' }
  /** It opened no session, because GitHub has no such registration. */
  | { readonly kind: 'registrationDeleted' }
  /** GitHub says so while it polls: it deletes its files, and ends with 0. */
  | { readonly kind: 'registrationGone' }
  /** It was asked to end. */
  | { readonly kind: 'exiting' }
);

/** As `RunnerLine`, before the time is read. */
type Said = RunnerLine extends infer Line ? (Line extends RunnerLine ? Omit<Line, 'at'> : never) : never;

const STAMP = String.raw`^(?<time>\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}Z): `;
/** A line of the listener's own log; `TIME` may have a fraction of a second. */
const TRACE = String.raw`^\[RUNNER (?<time>\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(?:\.\d+)?Z) [A-Z]+ +`;

type Groups = Readonly<Record<string, string | undefined>>;
const text = (groups: Groups, name: string): string => groups[name] ?? '';

/** In the order in which they are tried. */
const PATTERNS: readonly (readonly [RegExp, (groups: Groups) => Said])[] = [
  [new RegExp(`${STAMP}Listening for Jobs$`), () => ({ kind: 'listening' })],
  [
    new RegExp(`${STAMP}Running job: (?<name>.*)$`),
    (groups) => ({ kind: 'jobStarted', name: text(groups, 'name') }),
  ],
  [
    new RegExp(`${STAMP}Job (?<name>.*) completed with result: (?<result>\\w+)$`),
    (groups) => ({ kind: 'jobCompleted', name: text(groups, 'name'), result: text(groups, 'result') }),
  ],
  [
    new RegExp(`${STAMP}Runner connect error: (?<reason>.*?)\\.? Retrying until reconnected\\.$`),
    (groups) => ({ kind: 'disconnected', reason: text(groups, 'reason') }),
  ],
  [new RegExp(`${STAMP}Runner reconnected\\.$`), () => ({ kind: 'reconnected' })],
  [
    new RegExp(`${TRACE}(?:Broker)?MessageListener\\] Acknowledging runner request '(?<id>[^']*)'\\.$`),
    (groups) => ({ kind: 'acknowledged', requestId: text(groups, 'id') }),
  ],
  [new RegExp(`${TRACE}\\w+\\] Skipping message Job\\b`), () => ({ kind: 'skipped' })],
  [/^A session for this runner already exists\.$/, () => ({ kind: 'sessionConflict' })],
  [
    /^Failed to create a session\. The runner registration has been deleted from the server\b/,
    () => ({ kind: 'registrationDeleted' }),
  ],
  [/^The runner no longer exists on the server\./, () => ({ kind: 'registrationGone' })],
  [/^Runner update in progress, do not shutdown runner\.$/, () => ({ kind: 'updating' })],
  [/^Exiting\.\.\.$/, () => ({ kind: 'exiting' })],
];

/** What the line says, or undefined for one that says nothing of this. */
export function parseRunnerLine(line: string): RunnerLine | undefined {
  for (const [pattern, say] of PATTERNS) {
    const match = pattern.exec(line);
    if (match === null) continue;
    const groups: Groups = match.groups ?? {};
    return { ...say(groups), at: toTime(groups['time']) };
  }
  return undefined;
}

function toTime(time: string | undefined): number {
  const at = time === undefined ? NaN : Date.parse(time.replace(' ', 'T'));
  return Number.isNaN(at) ? 0 : at;
}
