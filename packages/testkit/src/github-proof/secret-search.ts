/**
 * Looks for secrets, and for parts of them: any 16 characters in a row, as they are, in base64, escaped as JSON or in a URL
 * escapes them.
 */
import { readFileSync } from 'node:fs';
import { filesBelow } from '../chaos/checks/secrets.js';

const SLICE = 16;
/** A secret has no blanks. */
const RUN = new RegExp(`\\S{${SLICE},}`, 'g');

export interface SecretSearch {
  /** What is in the text, each once, in words. */
  findIn(text: string): string[];
  /** The same of all files, each with its path. */
  findBelow(folder: string, except: ReadonlySet<string>): string[];
}

/** @param secrets each with what it is; shorter ones than 16 characters are looked for as a whole */
export function createSecretSearch(secrets: ReadonlyMap<string, string>): SecretSearch {
  const slices = new Map<string, string>();
  for (const [secret, what] of secrets) {
    for (const form of formsOf(secret))
      for (let at = 0; at + SLICE <= form.length; at += 1) slices.set(form.slice(at, at + SLICE), what);
  }
  const short = [...secrets].filter(([secret]) => secret.length < SLICE);

  function findIn(text: string): string[] {
    const found = new Set<string>();
    for (const [run] of text.matchAll(RUN)) {
      for (let at = 0; at + SLICE <= run.length; at += 1) {
        const what = slices.get(run.slice(at, at + SLICE));
        if (what !== undefined) found.add(what);
      }
    }
    for (const [secret, what] of short) if (text.includes(secret)) found.add(what);
    return [...found];
  }

  return {
    findIn,
    findBelow: (folder, except) =>
      filesBelow(folder, except).flatMap((file) =>
        findIn(readFileSync(file, 'latin1')).map((what) => `${file} holds a part of a ${what}`),
      ),
  };
}

function formsOf(secret: string): Set<string> {
  const base64 = [0, 1, 2].map((shift) => {
    const encoded = Buffer.from(' '.repeat(shift) + secret).toString('base64');
    // The first and last characters depend on what stands before and after.
    return encoded.slice(shift === 0 ? 0 : 4, -4);
  });
  return new Set([
    secret,
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
  ]);
}
