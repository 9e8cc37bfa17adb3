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

/** What fills two places of a terminal: East Asian wide characters, and emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}\p{Emoji_Presentation}]/u;
const NO_WIDTH = /[\p{Mn}\p{Me}]/u;
const widthOfCharacter = (character: string): number =>
  NO_WIDTH.test(character) ? 0 : WIDE.test(character) ? 2 : 1;

/** How many places of a terminal the text fills; at least nearly, as terminals differ over emoji. */
export const widthOf = (text: string): number =>
  /^[\x20-\x7e]*$/.test(text)
    ? text.length
    : Array.from(text).reduce((width, character) => width + widthOfCharacter(character), 0);

/** As `shorten`, by the places that the text fills. */
export function fit(text: string, maxWidth: number): string {
  if (widthOf(text) <= maxWidth) return text;
  let width = 1;
  let kept = '';
  for (const character of Array.from(text)) {
    width += widthOfCharacter(character);
    if (width > maxWidth) break;
    kept += character;
  }
  return `${kept}…`;
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
