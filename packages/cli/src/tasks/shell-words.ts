/**
 * The words of a command line as one text for `/bin/sh -c`. One word is a script of its own (`'df -h | sort'`); several are
 * quoted, so that the command gets them as they stand here (`sh -c 'yes | head'`).
 */
export const toShellCommand = (words: readonly string[]): string =>
  words.length === 1 ? (words[0] ?? '') : words.map(quote).join(' ');

const quote = (word: string): string =>
  /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
