import type { CommandState } from './command-state.js';
import type { CommandType } from './command-types.js';

export type ParameterValue = string | number | boolean | readonly string[];
/** Named parameters of a command. On the wire they are split by type; see wire/command.ts. */
export type Parameters = Readonly<Record<string, ParameterValue>>;

/** The controller's record of a command. Times are milliseconds since 1970. */
export interface CommandRecord {
  readonly id: string;
  readonly vmId: string;
  readonly type: CommandType;
  /** Never a secret (I8): what a registration needs is minted when it is sent. */
  readonly parameters: Parameters;
  readonly state: CommandState;
  /** Orders the commands of one VM: the lower goes out first. */
  readonly sequence: number;
  /** How often it was sent. */
  readonly attempts: number;
  readonly createdAt: number;
  /** Who asked: `operator`, or `controller` for what it does by itself. */
  readonly createdBy: string;
  /** The one boot of the VM that it is for; undefined = whichever comes. */
  readonly forBoot: string | undefined;
  /** After this it is not sent for the first time any more. */
  readonly deliveryDeadlineAt: number;
  /** After this the VM does not start it any more, and no result is expected. */
  readonly executionDeadlineAt: number;
  readonly idempotencyKey: string | undefined;
  readonly sentAt: number | undefined;
  /** The boot of the VM that it was last sent to, or, while it is queued for the first time, that it is about to be sent to. */
  readonly sentToBoot: string | undefined;
  readonly receivedAt: number | undefined;
  readonly finishedAt: number | undefined;
  /** The newer command that took its place before it went out. */
  readonly supersededBy: string | undefined;
  readonly message: string | undefined;
  readonly result: Readonly<Record<string, string>> | undefined;
}

/** What a MIGlet says of a command. `completed` from a legacy MIGlet is its only word. */
export interface CommandAck {
  readonly commandId: string;
  readonly phase: 'received' | 'completed';
  readonly success: boolean;
  readonly message: string;
  readonly result: Readonly<Record<string, string>>;
}

/** `result.code` of a command that the VM refused because its time to start had passed. */
export const RESULT_EXPIRED = 'expired';
/** `result.code` of a command that was under way when the MIGlet died, and is not finished by the next. */
export const RESULT_INTERRUPTED = 'interrupted';
/** `result.code` of a drain that was taken back before it had ended. */
export const RESULT_UNDRAINED = 'undrained';
