/**
 * What a simulated VM did, by somebody who stands beside its MIGlet and writes everything down: one file of JSON lines per
 * VM, over all its processes. A verdict compares it with what callers were told and what the controller has.
 */
import type { Logger } from '@mig/common/logger';
import type { CommandJournal, EventJournal } from '@mig/miglet/journal/journal';
import type { MigletHost } from '@mig/miglet/miglet';

/** Something that the VM did, or that happened on it. */
export type Fact =
  /** A process of the MIGlet began; what its journals held then may be more than the process before it could tell. */
  | {
      readonly kind: 'started';
      readonly bootId: string;
      readonly resumed: boolean;
      readonly events: readonly { readonly sequence: number; readonly type: string }[];
      readonly commands: readonly {
        readonly id: string;
        readonly type: string;
        readonly outcome: { readonly success: boolean; readonly message: string } | undefined;
      }[];
    }
  /** A command is in the journal, and is begun. */
  | { readonly kind: 'taken'; readonly id: string; readonly type: string }
  | { readonly kind: 'ended'; readonly id: string; readonly success: boolean; readonly message: string }
  /** An event is in the journal. */
  | { readonly kind: 'event'; readonly sequence: number; readonly type: string }
  | { readonly kind: 'state'; readonly state: string }
  | { readonly kind: 'logLevel'; readonly level: string }
  /** config.sh of the runner. */
  | { readonly kind: 'configured'; readonly commandId: string }
  | { readonly kind: 'drained'; readonly drained: boolean }
  | { readonly kind: 'bootEnded' }
  | { readonly kind: 'runner'; readonly does: 'started' | 'ended' }
  | { readonly kind: 'jobStarted'; readonly jobId: string; readonly durationMs: number | undefined }
  | { readonly kind: 'jobEnded'; readonly jobId: string; readonly early: boolean };

/** A fact with the time at which it was written down, milliseconds since 1970. */
export type WitnessedFact = Fact & { readonly at: number };

export type Witness = (fact: Fact) => void;

/** The host, with somebody who writes down what its journals and its boot file are told. */
export function witnessHost(host: MigletHost, witness: Witness): MigletHost {
  witness({
    kind: 'started',
    bootId: host.boot.boot.bootId,
    resumed: host.boot.boot.resumed,
    events: [...host.events.pending()].map(({ sequence, type }) => ({ sequence, type })),
    commands: host.commands.all().map(({ id, type, outcome }) => ({
      id,
      type,
      outcome: outcome && { success: outcome.success, message: outcome.message },
    })),
  });
  const events: Pick<EventJournal, 'append'> = {
    append(type, data, at) {
      const event = host.events.append(type, data, at);
      witness({ kind: 'event', sequence: event.sequence, type });
      return event;
    },
  };
  const commands: Pick<CommandJournal, 'take' | 'finish'> = {
    take(id, type, parameters) {
      const refusal = host.commands.take(id, type, parameters);
      if (refusal === undefined) witness({ kind: 'taken', id, type });
      return refusal;
    },
    finish(id, outcome) {
      host.commands.finish(id, outcome);
      witness({ kind: 'ended', id, success: outcome.success, message: outcome.message });
    },
  };
  const boot: Pick<MigletHost['boot'], 'rememberDrained' | 'rememberEnded'> = {
    rememberDrained(drained) {
      host.boot.rememberDrained(drained);
      witness({ kind: 'drained', drained });
    },
    rememberEnded() {
      host.boot.rememberEnded();
      witness({ kind: 'bootEnded' });
    },
  };
  return {
    ...host,
    boot: over(host.boot, boot),
    events: over(host.events, events),
    commands: over(host.commands, commands),
  };
}

/** A logger that writes down the level that is asked for, and the states that are told, and otherwise is the one given. */
export function witnessLogger(logger: Logger, witness: Witness): Logger {
  const info = (entry: unknown, ...rest: string[]): void => {
    const { event, to } = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<
      string,
      unknown
    >;
    if (event === 'state' && typeof to === 'string') witness({ kind: 'state', state: to });
    logger.info(entry, ...rest);
  };
  let level = logger.level;
  return new Proxy(logger, {
    get: (target, name, receiver): unknown =>
      name === 'level' ? level : name === 'info' ? info : Reflect.get(target, name, receiver),
    set(target, name, value: unknown, receiver) {
      if (name !== 'level') return Reflect.set(target, name, value, receiver);
      // The log of a fleet stays as it is: its VMs are told other levels all the time.
      level = String(value);
      witness({ kind: 'logLevel', level });
      return true;
    },
  });
}

/** The thing, with some of its methods replaced; none of them may use `this`. */
const over = <T extends object>(thing: T, methods: Partial<T>): T =>
  Object.assign(Object.create(thing) as T, methods);
