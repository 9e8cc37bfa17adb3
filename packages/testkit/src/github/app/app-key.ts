import { createSign, generateKeyPairSync } from 'node:crypto';

export interface AppKey {
  /** PKCS#1 PEM, the form in which GitHub lets an App's private key be downloaded. */
  readonly privateKey: string;
  readonly publicKey: string;
}

/** A key of an App, RSA 2048. Takes some 100 ms: make one for many tests. */
export function createAppKey(): AppKey {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
}

/** A JSON web token with exactly these claims, right or wrong, signed with RS256. */
export function signAppJwt(privateKey: string, claims: Readonly<Record<string, unknown>>): string {
  const content = [{ alg: 'RS256', typ: 'JWT' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const signature = createSign('RSA-SHA256').update(content).sign(privateKey, 'base64url');
  return `${content}.${signature}`;
}
