/** Text that came from elsewhere, made fit for a terminal. */
import { stripVTControlCharacters } from 'node:util';

/**
 * The text without escape sequences, control characters, and characters that are not seen or turn the order of others
 * round; line breaks and tabs become one space. A VM's words can neither move the cursor nor forge a line.
 */
export const safe = (text: string): string =>
  stripVTControlCharacters(text)
    .replace(/[\t\n\v\f\r\u0085\u2028\u2029]+/g, ' ')
    .replace(/[\p{Cc}\p{Cf}]/gu, '');

/** At most `maxLength` characters, the last of them `…` if something was cut off. */
export function shorten(text: string, maxLength: number): string {
  const characters = Array.from(text);
  return characters.length <= maxLength
    ? text
    : `${characters.slice(0, Math.max(0, maxLength - 1)).join('')}…`;
}

/** `1 VM`, `2 VMs`. */
export const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;

/** `key=value` pairs in one line; a value with spaces or quotes in it is quoted. */
export function keyValues(values: Readonly<Record<string, unknown>>): string {
  return Object.entries(values)
    .map(
      ([key, value]) =>
        `${safe(key)}=${quoteIfNeeded(safe(Array.isArray(value) ? value.join(',') : String(value)))}`,
    )
    .join(' ');
}

const quoteIfNeeded = (text: string): string => (/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text));
