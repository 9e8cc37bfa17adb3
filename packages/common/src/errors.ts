/** Base of every error that this project throws on purpose: a stable `code`, a message with thing, value and remedy. */
export class MigError extends Error {
  constructor(
    /** Stable, in kebab-case; the last part of the `type` of an HTTP problem. */
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** An id that breaks the rule of `domain/ids.ts`. */
export class InvalidIdError extends MigError {
  constructor(
    /** What was named: `vm_id`, `pool_id`, … */
    readonly field: string,
    readonly value: string,
  ) {
    super(
      'invalid-id',
      `${field} ${JSON.stringify(printable(value))} is not valid: use 1 to 63 of a-z A-Z 0-9 . _ - and begin with a letter or a digit`,
    );
  }
}

/** A record was asked to make a move that its transition table does not have (invariant I6). */
export class IllegalTransitionError extends MigError {
  constructor(
    readonly thing: string,
    readonly from: string,
    readonly to: string,
  ) {
    super('illegal-transition', `${thing} cannot go from ${from} to ${to}`);
  }
}

/** The message of anything that was thrown, without its stack. */
export function errorMessage(error: unknown): string {
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(errorMessage).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** Control characters, and what is not seen, breaks a line or turns the order of others round: C0, C1, bidi, zero width. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** The text with such characters made visible and cut at `maxLength` (default 200), for messages and logs. */
export function printable(text: string, maxLength = 200): string {
  const clean = text.replace(UNPRINTABLE, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u{${code}}`;
  });
  return clean.length > maxLength ? `${clean.slice(0, maxLength)}…` : clean;
}

/** A line of JSON, with those characters written as its escapes; it says the same. */
export function printableJson(line: string): string {
  return line.replace(UNPRINTABLE, (character) =>
    character === '\n'
      ? character
      : character
          .split('')
          .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
          .join(''),
  );
}
