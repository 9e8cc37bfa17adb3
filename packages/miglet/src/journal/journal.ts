/**
 * What a MIGlet must not forget: events that the controller has not yet stored, and commands that it has taken. Survives
 * `kill -9`. Unless its docstring says otherwise, a call returns when its fact is on disk, so that what follows from it may
 * begin (I2, I4). A disk that takes nothing (full, failing) throws nothing: each call says what it does then.
 */
import type { Parameters } from '@mig/common/domain/command';

/** An event of this boot, numbered from 1. */
export interface JournaledEvent {
  readonly sequence: number;
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export interface EventJournal {
  /** If the disk refuses it, it waits in memory: it is not among `pending` until it is written. */
  append(type: string, data: Readonly<Record<string, string>>, at: number): JournaledEvent;
  /** The controller has stored everything up to this sequence. If the disk refuses to note it, that is forgotten in a restart. */
  acknowledge(sequence: number): void;
  /** What is on disk and not acknowledged, oldest first. */
  pending(): Iterable<JournaledEvent>;
  readonly pendingCount: number;
  /** Is one of this type held, on disk or waiting for it? */
  holds(type: string): boolean;
  /** What waits in memory for the disk. */
  readonly waitingCount: number;
  /** Tries to write what waits. @returns true = everything is on disk */
  retry(): boolean;
}

/** A boot that has ended and has events left to tell. */
export interface EarlierBoot {
  readonly bootId: string;
  readonly events: EventJournal;
  /** Everything is told, or given up: its journal is removed. */
  forget(): void;
}

/** What is known of a command on this VM. */
export interface JournaledCommand {
  readonly id: string;
  readonly type: string;
  /** Without secrets. */
  readonly parameters: Parameters;
  /** Set when it has ended. */
  readonly outcome:
    | {
        readonly success: boolean;
        readonly message: string;
        readonly result: Readonly<Record<string, string>>;
      }
    | undefined;
  /** The controller has recorded the outcome. */
  readonly reported: boolean;
  /** When it was taken, milliseconds since the machine's start; missing where nobody counts them. */
  readonly takenUptimeMs?: number;
}

export interface CommandJournal {
  get(id: string): JournaledCommand | undefined;
  /**
   * The command is taken: whatever happens, it is not begun a second time.
   * @returns why it was not, and must not be begun: the disk refused it, or too many commands are not yet reported;
   * undefined if it is taken
   */
  take(id: string, type: string, parameters: Parameters): TakeRefusal | undefined;
  /** If the disk refuses it, it is known, and waits in memory to be written. */
  finish(id: string, outcome: NonNullable<JournaledCommand['outcome']>): void;
  /** As `finish`. */
  markReported(id: string): void;
  /** In the order in which they were taken. */
  all(): readonly JournaledCommand[];
  /** Tries to write what waits. @returns true = everything is on disk */
  retry(): boolean;
}

export interface TakeRefusal {
  /** Stable, for programs. */
  readonly code: 'journal-unavailable' | 'too-many-commands';
  readonly message: string;
}
