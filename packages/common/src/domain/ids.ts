import { InvalidIdError } from '../errors.js';

/** The rule for `vm_id`, `pool_id`, `org_id` and the ids of commands, jobs and tasks: safe as a path and as a key (I10). */
export const ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export const isValidId = (value: string): boolean => ID_PATTERN.test(value);

/** @throws InvalidIdError naming `field` and `value` */
export function assertId(field: string, value: string): void {
  if (!isValidId(value)) throw new InvalidIdError(field, value);
}

/** Of base 32, as `Number.toString` has them. */
const DIGITS = '0123456789abcdefghijklmnopqrstuv';

/**
 * A new id that sorts by the time of its making: `prefix-` and 10 + 10 characters of base 32.
 *
 * @param random a number in [0, 1)
 */
export function newId(prefix: string, nowMs: number, random: () => number = Math.random): string {
  const time = nowMs.toString(32).padStart(10, '0');
  let noise = '';
  for (let index = 0; index < 10; index += 1) noise += DIGITS.charAt(Math.floor(random() * 32));
  return `${prefix}-${time}${noise}`;
}
