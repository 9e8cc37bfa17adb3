/** Certificates in PEM files: all of them, or an error that says what is wrong with the file. OpenSSL takes half of one in silence. */
import { X509Certificate } from 'node:crypto';
import { MigError, errorMessage } from './errors.js';

/** The file holds no certificates, or not only whole ones. */
export class PemError extends MigError {
  constructor(reason: string) {
    super('bad-pem', reason);
  }
}

export interface PemCertificate {
  /** The block by itself, ended by a newline. */
  readonly pem: string;
  readonly certificate: X509Certificate;
}

const BLOCK =
  /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g;
const OTHER_BLOCK = /-----BEGIN ([A-Z0-9 ]*(?:KEY|PARAMETERS|CRL))-----[^]*?-----END \1-----/g;
/** A block that has no end, or whose first line has none. */
const CUT_OFF = /-----(BEGIN|END)|(^|\n)-{1,5}[BEGIN]{0,5}$/;

/**
 * Every certificate of the text, in its order. What stands between the blocks does not matter, nor that a newline is missing there,
 * as after `cat a.pem b.pem` of files without a last one.
 *
 * @throws PemError if there is none, if one is cut off, or is none
 */
export function parseCertificates(text: string): PemCertificate[] {
  const blocks = text.match(BLOCK) ?? [];
  const rest = text.replace(BLOCK, '').replace(OTHER_BLOCK, '').trim();
  if (CUT_OFF.test(rest))
    throw new PemError(`certificate ${blocks.length + 1} is cut off, or damaged: the file is half written`);
  return parseBlocks(blocks);
}

function parseBlocks(blocks: readonly string[]): PemCertificate[] {
  if (blocks.length === 0)
    throw new PemError('it holds no certificate: one begins with -----BEGIN CERTIFICATE-----');
  return blocks.map((pem, index) => {
    try {
      return { pem: `${pem}\n`, certificate: new X509Certificate(pem) };
    } catch (error) {
      throw new PemError(
        `certificate ${index + 1} of ${blocks.length} cannot be read (${errorMessage(error)})`,
      );
    }
  });
}

/** May it sign others? Also one of old (version 1) that signed itself. */
export const isAuthority = (certificate: X509Certificate): boolean =>
  certificate.ca || certificate.checkIssued(certificate);
