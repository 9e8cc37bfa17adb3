/** What is asked of those who come, in this bench: credentials, TLS, both or neither. Everything is made anew, and goes with it. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Security {
  /** Undefined = nobody is asked for a credential. */
  readonly join: { readonly token: string; readonly file: string } | undefined;
  /** Undefined = no TLS. */
  readonly tls: Tls | undefined;
}

export interface Tls {
  /** The authority (PEM). */
  readonly ca: string;
  readonly certFile: string;
  readonly keyFile: string;
}

const MIGCTL = fileURLToPath(new URL('../../../cli/bin/migctl.js', import.meta.url));
/** The name of the certificate, and of its files. */
const NAME = 'localhost';
const ADDRESS = '127.0.0.1';

/** @param folder where what is made is kept */
export function prepareSecurity(
  wanted: { readonly auth: boolean; readonly tls: boolean },
  folder: string,
): Security {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return {
    join: wanted.auth ? makeJoinToken(path.join(folder, 'join-token')) : undefined,
    tls: wanted.tls ? makeCertificates(path.join(folder, 'certs')) : undefined,
  };
}

function makeJoinToken(file: string): { token: string; file: string } {
  const token = randomBytes(32).toString('base64url');
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  return { token, file };
}

function makeCertificates(folder: string): Tls {
  const migctl = (...args: string[]): void =>
    void execFileSync(process.execPath, [MIGCTL, 'certs', ...args, '--dir', folder], { stdio: 'pipe' });
  migctl('init');
  migctl('issue', '--controller', NAME, '--host', ADDRESS);
  const inFolder = (name: string): string => path.join(folder, name);
  return {
    ca: readFileSync(inFolder('ca.pem'), 'utf8'),
    certFile: inFolder(`${NAME}.pem`),
    keyFile: inFolder(`${NAME}.key`),
  };
}

/** What a controller is told of it; the rest of the environment is the same for all. */
export const controllerEnv = ({ join, tls }: Security): Record<string, string> => ({
  ...(join === undefined ? { CONTROLLER_INSECURE: 'true' } : { CONTROLLER_AUTH_JOIN_TOKEN_FILE: join.file }),
  ...(tls === undefined
    ? {}
    : { CONTROLLER_TLS_CERT_FILE: tls.certFile, CONTROLLER_TLS_KEY_FILE: tls.keyFile }),
});

/** What an operator speaks with to the controller of this data directory, once it listens. */
export const operatorToken = ({ join }: Security, dataDirectory: string): string | undefined =>
  join === undefined
    ? undefined
    : readFileSync(path.join(dataDirectory, '.auth', 'admin-token'), 'utf8').trim();
