/** Says what happens in words for a person: one line each, with the time and who it is about. */
import pc from 'picocolors';

export interface Narrator {
  say(who: string, what: string): void;
  /** A line that is not about anybody. */
  print(text: string): void;
}

const NAME_WIDTH = 12;

export function createNarrator(write: (text: string) => void, now: () => Date): Narrator {
  return {
    say: (who, what) =>
      write(`${pc.dim(now().toTimeString().slice(0, 8))}  ${pc.bold(who.padEnd(NAME_WIDTH))} ${what}\n`),
    print: (text) => write(`${text}\n`),
  };
}

type Entry = Readonly<Record<string, unknown>>;
const text = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';

/** What a state of the machine means to somebody who has never seen it. */
const STATES: Readonly<Record<string, string>> = {
  booting: 'booting: announces itself to the controller',
  'registering.awaitingCommand': 'registering: waits for the controller to say as what',
  'registering.configuring': 'registering: prepares the stand-in runner',
  'registering.starting': 'registering: starts the stand-in runner',
  'registering.clearing.finishingJob': 'registering: lets the job of the runner before end first',
  'ready.idle': pc.green('ready: waits for a job'),
  'ready.busy': pc.cyan('ready: runs a job'),
  'draining.finishingJob': pc.yellow('draining: lets the running job end first'),
  'draining.deregistering': pc.yellow('draining: has its registration deleted'),
  'draining.stoppingRunner': pc.yellow('draining: stops the runner'),
  'draining.drained': pc.yellow('drained: takes no more jobs'),
  'shutdown.flushing': 'shutting down',
};

/**
 * What the log of one MIGlet says, line by line: undefined for a line that is of no interest. A runner has one job, and is
 * registered anew for the next: how that goes is told once.
 */
export function createMigletStory(): (entry: Entry) => string | undefined {
  let wasReady = false;
  let had = '';
  return (entry) => {
    if (entry['event'] !== 'state') return describeMigletLog(entry);
    const to = text(entry['to']);
    const from = had;
    had = to;
    // When its job is done the runner ends, and is registered anew before it waits for another.
    if (wasReady && (ROUTINE.test(to) || (to === 'ready.idle' && from === 'ready.busy'))) return undefined;
    wasReady ||= to === 'ready.idle';
    return describeMigletLog(entry);
  };
}

const ROUTINE = /^registering\.(awaitingCommand|configuring|starting)$/;

function describeMigletLog(entry: Entry): string | undefined {
  switch (entry['event']) {
    case 'state':
      return STATES[text(entry['to'])];
    case 'job_started':
      return `job "${text(entry['name'])}" started`;
    case 'job_completed':
      return `job "${text(entry['name'])}" ended: ${text(entry['result'])}`;
    case 'runner_crashed':
      return pc.red(
        `the runner crashed (${text(entry['signal']) || `exit code ${text(entry['exit_code'])}`})`,
      );
    case 'disconnected':
      return pc.yellow(`lost the controller (${text(entry['reason'])}); goes on as it is, and tries again`);
    case 'announce_failed':
      return pc.yellow('cannot reach the controller yet; tries again');
    case 'ended':
      return `ended (${text(entry['outcome'])})`;
    default:
      return undefined;
  }
}

/** What a log line of the controller says. */
export function describeControllerLog(entry: Entry): string | undefined {
  switch (entry['event']) {
    case 'listening':
      return `listens: HTTP ${text(entry['http'])}, gRPC ${text(entry['grpc'])}; keeps its data in ${text(entry['dataDir'])}`;
    case 'connected':
      return `${text(entry['vmId'])} is connected`;
    case 'stopped':
      return 'stopped';
    default:
      return undefined;
  }
}
