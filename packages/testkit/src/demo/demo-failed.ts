import { MigError } from '@mig/common/errors';

/** A part of the demo did not come up; the message is the one line that says why. */
export class DemoFailedError extends MigError {
  constructor(message: string) {
    super('demo-failed', message);
  }
}
