/** How migctl ends, and the errors that it ends with. */
import { MigError } from '@mig/common/errors';

/** Exit codes. `interrupted` is what a shell reports of a program that Ctrl-C ended. */
export const EXIT = { done: 0, failed: 1, usage: 2, timedOut: 3, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An error for the operator: the message says what and which VM, the hint says what to do next. */
export class CliError extends MigError {
  constructor(
    code: string,
    message: string,
    readonly exitCode: ExitCode,
    readonly hint?: string | undefined,
    options?: ErrorOptions,
  ) {
    super(code, message, options);
  }
}

/** The command line itself is wrong. Thrown before anything is sent. */
export class UsageError extends CliError {
  constructor(message: string, hint?: string) {
    super('usage', message, EXIT.usage, hint);
  }
}

/** Ctrl-C (or SIGTERM) came. What it means is for the command to say. */
export class InterruptedError extends CliError {
  constructor() {
    super('interrupted', 'interrupted', EXIT.interrupted);
  }
}

/** No controller answered, or it cannot answer now. Asking again later may help. */
export class UnavailableError extends CliError {
  constructor(message: string, hint: string, options?: ErrorOptions) {
    super('unavailable', message, EXIT.failed, hint, options);
  }
}

/** The controller refused a request; `problemCode` is the last part of the problem's type, `unknown-vm` for example. */
export class RefusedError extends CliError {
  constructor(
    readonly problemCode: string,
    readonly status: number,
    message: string,
    hint?: string,
  ) {
    super('refused', message, EXIT.failed, hint);
  }
}
