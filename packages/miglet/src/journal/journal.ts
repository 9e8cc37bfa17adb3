/**
 * What a MIGlet must not forget: events that the controller has not yet stored, and commands that it has taken. Survives
 * `kill -9`. Every call returns when its fact is on disk, so that what follows from it may begin (I2, I4).
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
  append(type: string, data: Readonly<Record<string, string>>, at: number): JournaledEvent;
  /** The controller has stored everything up to this sequence. */
  acknowledge(sequence: number): void;
  /** What is not acknowledged, oldest first. */
  pending(): readonly JournaledEvent[];
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
}

export interface CommandJournal {
  get(id: string): JournaledCommand | undefined;
  /** The command is taken: whatever happens, it is not begun a second time. */
  take(id: string, type: string, parameters: Parameters): void;
  finish(id: string, outcome: NonNullable<JournaledCommand['outcome']>): void;
  markReported(id: string): void;
  all(): readonly JournaledCommand[];
}
