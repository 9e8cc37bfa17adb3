/** The JSON web token by which a GitHub App says who it is (docs.github.com, "Generating a JSON Web Token for a GitHub App"). */
import { createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { readSecretFile, unusable } from './secret-file.js';

const KEY = 'github.private_key_file';
/** Back-dated, for clocks that differ; valid for 10 minutes in all, as long as GitHub allows. */
const BACKDATED_S = 60;
const LIFETIME_S = 600;

/**
 * Reads the key anew each time.
 *
 * @param appId the App's id or its client id
 * @throws GitHubCallError `credentials`, without anything of the key in it (I8)
 */
export async function createAppJwt(appId: string, keyFile: string, nowMs: number): Promise<string> {
  const key = toKey(await readSecretFile(keyFile, 'the private key of the App', KEY), keyFile);
  const iat = Math.floor(nowMs / 1_000) - BACKDATED_S;
  const head = encode({ alg: 'RS256', typ: 'JWT' });
  const body = encode({ iat, exp: iat + LIFETIME_S, iss: appId });
  const signature = sign('RSA-SHA256', Buffer.from(`${head}.${body}`), key).toString('base64url');
  return `${head}.${body}.${signature}`;
}

function toKey(pem: string, keyFile: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw unusable(
      `${keyFile} (${KEY}) has no private key: put the PEM file there that GitHub handed out for the App`,
    );
  }
  if (key.asymmetricKeyType !== 'rsa') {
    throw unusable(
      `the key in ${keyFile} (${KEY}) is of type ${key.asymmetricKeyType ?? 'unknown'}: expected the RSA key that GitHub handed out for the App`,
    );
  }
  return key;
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
