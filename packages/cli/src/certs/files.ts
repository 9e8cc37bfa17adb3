/** Where certificates and keys are, and how they are written: whole or not at all. */
import { createPrivateKey, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { errorMessage } from '@mig/common/errors';
import { parseCertificates, type PemCertificate } from '@mig/common/pem';
import { CliError, EXIT } from '../errors.js';
import type { CertificateAndKey } from './authority.js';

/** `ca.pem`: what is trusted, one authority or, during a change, two. `ca.key`: of the one that signs. */
export const CA = 'ca';
/** The key of the authority that is to sign next, and of the one that has signed. */
export const NEXT_CA = 'ca-next';
export const PREVIOUS_CA = 'ca-previous';

/** Names of files that no certificate may have. */
export const RESERVED: readonly string[] = [CA, NEXT_CA, PREVIOUS_CA];

export const filesOf = (directory: string, name: string): { certFile: string; keyFile: string } => ({
  certFile: path.join(directory, `${name}.pem`),
  keyFile: path.join(directory, `${name}.key`),
});

export interface Authorities {
  /** Of `ca.pem`, in its order. */
  readonly all: readonly PemCertificate[];
  /** The one whose key is `ca.key`. */
  readonly signer: PemCertificate;
  readonly key: string;
}

/** @throws CliError if there is none, or its files do not fit */
export function readAuthorities(directory: string): Authorities {
  const { certFile, keyFile } = filesOf(directory, CA);
  try {
    const all = parseCertificates(readFileSync(certFile, 'utf8'));
    const key = readFileSync(keyFile, 'utf8');
    const signer = signerOf(all, key);
    if (signer === undefined) throw new Error(`${keyFile} is the key of none in ${certFile}`);
    return { all, signer, key };
  } catch (error) {
    throw new CliError(
      'no-authority',
      `the authority in ${directory} cannot be used (${errorMessage(error)})`,
      EXIT.failed,
      '`migctl certs init` makes one; --dir names its folder',
    );
  }
}

/** The authority whose key it is. */
export function signerOf(all: readonly PemCertificate[], key: string): PemCertificate | undefined {
  const privateKey = createPrivateKey(key);
  return all.find(({ certificate }) => certificate.checkPrivateKey(privateKey));
}

/** The key first: whoever reads both in between finds that they do not fit, and reads them again. @throws CliError */
export function writeBoth(
  directory: string,
  name: string,
  { certificate, key }: CertificateAndKey,
): { certFile: string; keyFile: string } {
  const { certFile, keyFile } = filesOf(directory, name);
  changeFiles(directory, () => {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    replaceFile(keyFile, key, 0o600);
    replaceFile(certFile, certificate, 0o644);
  });
  return { certFile, keyFile };
}

/** @throws CliError in place of what the file system says */
export function changeFiles(directory: string, change: () => void): void {
  try {
    change();
  } catch (error) {
    throw new CliError('not-written', `${directory} cannot be written (${errorMessage(error)})`, EXIT.failed);
  }
}

export function replaceFile(file: string, content: string, mode: number): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    writeFileSync(temporary, content, { mode, flag: 'wx' });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
