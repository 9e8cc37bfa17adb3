/**
 * The lines of the runner's listener that say what it does.
 *
 * Source: actions/runner 2.336.0, src/Runner.Listener/Runner.cs:491 ("Listening for Jobs"), JobDispatcher.cs:378 ("Running
 * job: NAME"), :591 and :701 ("Job NAME completed with result: RESULT"); each begins with a time (`{UtcNow:u}`). A job's
 * name can be anything, so the fixed parts are matched from the start and from the end of the line.
 */
export type RunnerLine =
  | { readonly kind: 'listening' }
  | { readonly kind: 'jobStarted'; readonly name: string }
  | { readonly kind: 'jobCompleted'; readonly name: string; readonly result: string };

const TIME = String.raw`^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}Z: `;
const LISTENING = new RegExp(`${TIME}Listening for Jobs$`);
const STARTED = new RegExp(`${TIME}Running job: (.*)$`);
const COMPLETED = new RegExp(`${TIME}Job (.*) completed with result: (\\w+)$`);

/** What the line says, or undefined for one that says nothing of this. */
export function parseRunnerLine(line: string): RunnerLine | undefined {
  if (LISTENING.test(line)) return { kind: 'listening' };
  const started = STARTED.exec(line);
  if (started) return { kind: 'jobStarted', name: started[1] ?? '' };
  const completed = COMPLETED.exec(line);
  if (completed) return { kind: 'jobCompleted', name: completed[1] ?? '', result: completed[2] ?? '' };
  return undefined;
}
