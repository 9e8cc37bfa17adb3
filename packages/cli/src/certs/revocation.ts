/** `certs revoke` and `certs revoked`: certificates that the controller takes no more, although they have not ended. */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { serialSchema } from '@mig/common/api/auth-resource';
import { errorMessage } from '@mig/common/errors';
import { mapConcurrently } from '../concurrency.js';
import { EXIT, UsageError, type ExitCode } from '../errors.js';
import { renderTable } from '../output/table.js';
import { safe } from '../output/text.js';
import { formatTime } from '../output/time.js';
import type { Session } from '../session.js';

/** @param certificates serial numbers, or files. @throws UsageError before anything is sent */
export async function revokeCerts(
  { client, io }: Session,
  certificates: readonly string[],
): Promise<ExitCode> {
  const serials = certificates.map(toSerial);
  const revoked = await mapConcurrently(serials, (serial) => client.revokeCertificate(serial));
  for (const { serial } of revoked) io.stdout.write(`certificate ${safe(serial)} revoked\n`);
  return EXIT.done;
}

export async function listRevoked({ client, io }: Session): Promise<ExitCode> {
  const revoked = await client.listRevokedCertificates();
  if (revoked.length === 0) {
    io.stderr.write('No certificate is revoked.\n');
    return EXIT.done;
  }
  io.stdout.write(
    renderTable(
      [
        { title: 'SERIAL', text: ({ serial }) => serial },
        { title: 'REVOKED', text: ({ revoked_at }) => formatTime(revoked_at) },
        { title: 'BY', text: ({ revoked_by }) => revoked_by },
      ],
      revoked,
    ),
  );
  return EXIT.done;
}

/** @throws UsageError */
export function serialOfFile(file: string): string {
  try {
    return new X509Certificate(readFileSync(file)).serialNumber;
  } catch (error) {
    throw new UsageError(`${file} is no certificate (${errorMessage(error)})`);
  }
}

function toSerial(text: string): string {
  if (existsSync(text)) return serialOfFile(text);
  if (serialSchema.safeParse(text).success) return text;
  throw new UsageError(
    `${JSON.stringify(text)} is neither a file nor a serial number`,
    '`openssl x509 -noout -serial -in FILE` shows it',
  );
}
