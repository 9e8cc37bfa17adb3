/** A certificate authority of one's own, for those who have none: EC P-256, X.509 v3. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as never);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** Clocks of other machines may be behind. */
const BACKDATE_MS = 5 * 60_000;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** PEM. */
export interface CertificateAndKey {
  readonly certificate: string;
  readonly key: string;
}

/** What a certificate is for. */
export interface Subject {
  readonly name: string;
  readonly usage: 'server' | 'client';
  readonly names: readonly { readonly type: 'dns' | 'ip' | 'url'; readonly value: string }[];
}

export interface Validity {
  readonly nowMs: number;
  readonly lifeMs: number;
}

export async function createAuthority(name: string, validity: Validity): Promise<CertificateAndKey> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [name] }],
    keys: keys as never,
    signingAlgorithm: ALGORITHM,
    serialNumber: serialNumber(),
    ...period(validity),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: toPem(certificate), key: await exportKey(keys.privateKey) };
}

/** @throws if the authority's files are none */
export async function issue(
  authority: CertificateAndKey,
  subject: Subject,
  validity: Validity,
): Promise<CertificateAndKey> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await importKey(authority.key);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [{ CN: [subject.name] }],
    issuer: issuer.subject,
    publicKey: keys.publicKey as never,
    signingKey: signingKey as never,
    signingAlgorithm: ALGORITHM,
    serialNumber: serialNumber(),
    ...period(validity),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([subject.usage === 'server' ? SERVER_AUTH : CLIENT_AUTH]),
      new x509.SubjectAlternativeNameExtension(subject.names.map(({ type, value }) => ({ type, value }))),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: toPem(certificate), key: await exportKey(keys.privateKey) };
}

/** What a certificate of ours is for, and how long it was to live; undefined = it is none that `issue` makes. */
export function describeCertificate(
  pem: string,
): { readonly subject: Subject; readonly lifeMs: number; readonly endsAt: number } | undefined {
  const certificate = new x509.X509Certificate(pem);
  const name = certificate.subjectName.getField('CN')[0];
  const usages = certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [];
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [];
  if (name === undefined || usages.length !== 1) return undefined;
  const endsAt = certificate.notAfter.getTime();
  return {
    subject: {
      name,
      usage: usages[0] === SERVER_AUTH ? 'server' : 'client',
      names: names.flatMap(({ type, value }) =>
        type === 'dns' || type === 'ip' || type === 'url' ? [{ type, value }] : [],
      ),
    },
    lifeMs: endsAt - certificate.notBefore.getTime() - BACKDATE_MS,
    endsAt,
  };
}

const period = ({ nowMs, lifeMs }: Validity): { notBefore: Date; notAfter: Date } => ({
  notBefore: new Date(nowMs - BACKDATE_MS),
  notAfter: new Date(nowMs + lifeMs),
});

/** 127 random bits, positive. */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return Buffer.from(bytes).toString('hex');
}

/** Ends with a newline, so that files can be joined by `cat`. */
const toPem = (certificate: x509.X509Certificate): string => `${certificate.toString('pem').trimEnd()}\n`;

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const base64 = pem.replace(/-----[^-]+-----|\s/g, '');
  return webcrypto.subtle.importKey('pkcs8', Buffer.from(base64, 'base64'), ALGORITHM, false, ['sign']);
}
