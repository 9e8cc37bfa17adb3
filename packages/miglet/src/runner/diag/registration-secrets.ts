/**
 * The secrets in the files of a registration (`.credentials`, `.credentials_rsaparams`, `.runner`), as they are in the runner's folder
 * or in a JIT config: each text in them that is long enough, and is not known to be public.
 *
 * The folder is the runner's user's, who may not be trusted: only plain files of a bounded size are read, and no link is followed
 * (diag-tail.ts).
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import { REGISTRATION_FILES } from '../runner-directory.js';

/** Shorter ones would be found in any text. */
const MIN_LENGTH = 8;
/** Of one file: the runner's are of 2 KiB. A larger one is not read. */
const MAX_FILE_BYTES = 64 * 1024;
/** Of one file: the runner's have ten. */
const MAX_LEAVES = 100;
/** A JIT config holds its files as base64 in JSON in base64 (actions/runner, Runner.cs:234-270). */
const MAX_FILES = 10;

/** Names of things, which are in every log (actions/runner, ConfigurationStore.cs:18-62). */
const PUBLIC_KEYS = new Set(['agentname', 'poolname', 'workfolder', 'scheme', 'monitorsocketaddress']);
/** An address without a password and without a signature. */
const PUBLIC_URL = /^https?:\/\/[^\s?#@]*$/;

/** Those in the runner's folder, now. */
export function registrationSecrets(directory: string): string[] {
  return REGISTRATION_FILES.flatMap((name) => secretsIn(name, readPlainFile(path.join(directory, name))));
}

/** Those within a JIT config, without itself; none in what is no JIT config. */
export function jitConfigSecrets(jitConfig: string): string[] {
  let files: [string, unknown][];
  try {
    files = Object.entries(JSON.parse(Buffer.from(jitConfig, 'base64').toString()) as object);
  } catch {
    return [];
  }
  return files.slice(0, MAX_FILES).flatMap(([name, content]) => {
    const encoded = String(content);
    const secrets = secretsIn(name, Buffer.from(encoded, 'base64').toString());
    return isSecretFile(name) ? [encoded, ...secrets] : secrets;
  });
}

const isSecretFile = (name: string): boolean => name.includes('credentials');

/** The whole text of a file of secrets is one, too: it may be no JSON. */
function secretsIn(name: string, text: string): string[] {
  const whole = text.replace(/^\uFEFF/, '').trim();
  if (whole === '') return [];
  return isSecretFile(name) ? [whole, ...leavesOf(whole)] : leavesOf(whole);
}

function leavesOf(text: string): string[] {
  const leaves: string[] = [];
  try {
    JSON.parse(text, (key, value: unknown) => {
      if (typeof value === 'string' && leaves.length < MAX_LEAVES && !isPublic(key, value))
        leaves.push(value);
      return value;
    });
  } catch {
    // No JSON, or so deep that it is not the runner's: what was found by then.
  }
  return leaves;
}

const isPublic = (key: string, value: string): boolean =>
  value.length < MIN_LENGTH || PUBLIC_KEYS.has(key.toLowerCase()) || PUBLIC_URL.test(value);

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** Empty if there is none, or none that is read. */
function readPlainFile(file: string): string {
  let descriptor: number;
  try {
    // Not blocking: a pipe that somebody put there must not hold the MIGlet.
    descriptor = openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return '';
  }
  try {
    const stat = fstatSync(descriptor);
    const plain = stat.isFile() && stat.nlink === 1 && stat.size <= MAX_FILE_BYTES;
    if (!plain) return '';
    const buffer = Buffer.alloc(MAX_FILE_BYTES);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, buffer.length, 0)).toString();
  } catch {
    return '';
  } finally {
    closeSync(descriptor);
  }
}
