/**
 * Certificates of the controller's own authority that are taken no more before their end, by serial number: looked at when
 * an operator asks, and when a VM joins. Kept in a file that is written before anybody is told.
 */
import type { PeerCertificate } from 'node:tls';
import * as z from 'zod';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import { StoreUnavailableError } from '../store/store.js';
import { RevokedFileError, TooManyRevokedError } from './errors.js';
import { refused, type JoinMethod } from './join/join-method.js';
import type { OperatorMethod } from './operator-auth.js';
import { readPrivateFile, writePrivateFile } from './private-file.js';

export interface RevokedCertificate {
  /** As `toSerial` writes it. */
  readonly serial: string;
  readonly revokedAt: number;
  readonly revokedBy: string;
}

export interface RevokedCertificates {
  /** In the order of their revocation. */
  list(): readonly RevokedCertificate[];
  has(serial: string): boolean;
  /** Taken no more from the moment of the call; durable when it resolves. @throws StoreUnavailableError, TooManyRevokedError */
  revoke(serial: string, by: string): Promise<RevokedCertificate>;
}

/** At most (I12). */
const MAX_REVOKED = 10_000;

const fileSchema = z.object({
  version: z.literal(1),
  certificates: z.array(z.object({ serial: z.string(), revokedAt: z.number(), revokedBy: z.string() })),
});

/** As Node and OpenSSL write a serial number: hexadecimal capitals, without colons and leading zeros. */
export const toSerial = (text: string): string =>
  text
    .replaceAll(':', '')
    .toUpperCase()
    .replace(/^0+(?=.)/, '');

export const serialOf = ({ serialNumber }: PeerCertificate): string => toSerial(serialNumber);

/** @throws RevokedFileError, or the file system's error */
export async function openRevokedCertificates(file: string, clock: Clock): Promise<RevokedCertificates> {
  const bySerial = new Map((await readRevoked(file)).map((one) => [one.serial, one]));
  let writing: Promise<void> = Promise.resolve();

  function save(serial: string): Promise<void> {
    const done = writing.then(() =>
      writePrivateFile(
        file,
        `${JSON.stringify({ version: 1, certificates: [...bySerial.values()] }, null, 2)}\n`,
      ).catch((error: unknown) => {
        throw new StoreUnavailableError(`the revocation of certificate ${serial}`, error);
      }),
    );
    writing = done.catch(() => undefined);
    return done;
  }

  return {
    list: () => [...bySerial.values()],
    has: (serial) => bySerial.has(toSerial(serial)),
    async revoke(text, revokedBy) {
      const serial = toSerial(text);
      const record = bySerial.get(serial) ?? { serial, revokedAt: clock.now(), revokedBy };
      if (!bySerial.has(serial) && bySerial.size >= MAX_REVOKED) throw new TooManyRevokedError(MAX_REVOKED);
      bySerial.set(serial, record);
      await save(serial);
      return record;
    },
  };
}

async function readRevoked(file: string): Promise<readonly RevokedCertificate[]> {
  const text = await readPrivateFile(file);
  if (text === undefined) return [];
  try {
    return fileSchema.parse(JSON.parse(text)).certificates;
  } catch (error) {
    throw new RevokedFileError(file, errorMessage(error).split('\n', 1)[0] ?? '');
  }
}

/** The method, but for operators whose certificate was revoked. */
export const operatorUnlessRevoked =
  (method: OperatorMethod, revoked: Pick<RevokedCertificates, 'has'>): OperatorMethod =>
  async (presented) => {
    const verdict = await method(presented);
    const { certificate } = presented;
    if (verdict === undefined || certificate === undefined || !revoked.has(certificate.serialNumber))
      return verdict;
    return { kind: 'unknown', reason: `certificate ${serialOf(certificate)} is revoked` };
  };

/** The method, but for VMs whose certificate was revoked. */
export const joinUnlessRevoked = (
  method: JoinMethod,
  revokedOnes: Pick<RevokedCertificates, 'has'>,
): JoinMethod => ({
  verify(request) {
    const { certificate } = request;
    return certificate !== undefined && revokedOnes.has(certificate.serialNumber)
      ? Promise.resolve(refused(`certificate ${serialOf(certificate)} is revoked`))
      : method.verify(request);
  },
});
