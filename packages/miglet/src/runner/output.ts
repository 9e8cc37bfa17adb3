/**
 * The lines of the runner's listener that say what it does.
 *
 * Source: actions/runner 2.336.0, src/Runner.Listener/Runner.cs:491 ("Listening for Jobs"), JobDispatcher.cs:378 ("Running
 * job: NAME"), :591 and :701 ("Job NAME completed with result: RESULT"); each begins with a time (`{UtcNow:u}`). A job's
 * name can be anything, so the fixed parts are matched from the start and from the end of the line.
 */
export type RunnerLine =
  | { readonly kind: 'listening' }
  /** `at`: by the line's own time, milliseconds since 1970; the same however often it is read. */
  | { readonly kind: 'jobStarted'; readonly name: string; readonly at: number }
  | { readonly kind: 'jobCompleted'; readonly name: string; readonly result: string };

const TIME = String.raw`^(?<time>\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}Z): `;
const LISTENING = new RegExp(`${TIME}Listening for Jobs$`);
const STARTED = new RegExp(`${TIME}Running job: (?<name>.*)$`);
const COMPLETED = new RegExp(`${TIME}Job (?<name>.*) completed with result: (?<result>\\w+)$`);

/** What the line says, or undefined for one that says nothing of this. */
export function parseRunnerLine(line: string): RunnerLine | undefined {
  if (LISTENING.test(line)) return { kind: 'listening' };
  const started = STARTED.exec(line)?.groups;
  if (started) {
    const at = Date.parse((started['time'] ?? '').replace(' ', 'T'));
    return { kind: 'jobStarted', name: started['name'] ?? '', at: Number.isNaN(at) ? 0 : at };
  }
  const completed = COMPLETED.exec(line)?.groups;
  if (completed)
    return { kind: 'jobCompleted', name: completed['name'] ?? '', result: completed['result'] ?? '' };
  return undefined;
}
