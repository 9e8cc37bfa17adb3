/** What this VM shows to prove that it belongs to its pool: read anew each time it joins, and kept nowhere. */
import { readFile } from 'node:fs/promises';
import { errorMessage } from '@mig/common/errors';
import { ok, retryable, type Outcome } from '@mig/common/outcome';
import { askHttp } from '../ask-http.js';
import type { MigletConfig } from '../config.js';

/** As `POST /api/v1/vms/{vm_id}/join` takes it. Holds secrets (I8). */
export type JoinProof =
  | { readonly method: 'token'; readonly token: string }
  | { readonly method: 'gce'; readonly identity_token: string }
  | { readonly method: 'aws'; readonly document: string; readonly signature: string; readonly token: string }
  | { readonly method: 'mtls' };

/** Reads it now. A file or a metadata server that is not there yet is tried again. */
export type ReadJoinProof = (signal: AbortSignal) => Promise<Outcome<JoinProof>>;

/** A metadata server is on the VM's own host: it answers at once or not at all. */
const METADATA_TIMEOUT_MS = 5_000;
const AWS_TOKEN_LIFE_S = 60;

/** Undefined = this VM joins by nothing: its pool must allow that. */
export function createJoinProof(join: MigletConfig['controller']['join']): ReadJoinProof | undefined {
  const method = join.method === 'auto' ? (join.token_file === '' ? 'none' : 'token') : join.method;
  if (method === 'none') return undefined;
  return async (signal) => {
    try {
      switch (method) {
        case 'token':
          return ok({ method, token: await readToken(join.token_file) });
        case 'mtls':
          return ok({ method });
        case 'gce':
          return ok({ method, identity_token: await gceIdentity(join, signal) });
        case 'aws':
          return ok({
            method,
            token: await readToken(join.token_file),
            ...(await awsDocument(join, signal)),
          });
      }
    } catch (error) {
      return retryable(`what the VM joins by (${method}) cannot be had: ${errorMessage(error)}`);
    }
  };

  async function gceIdentity(
    { metadata_url, audience }: MigletConfig['controller']['join'],
    signal: AbortSignal,
  ): Promise<string> {
    const query = new URLSearchParams({ audience, format: 'full' });
    const base = metadata_url || 'http://metadata.google.internal';
    const path = `/computeMetadata/v1/instance/service-accounts/default/identity?${query.toString()}`;
    return ask('GET', base + path, { 'metadata-flavor': 'Google' }, signal);
  }

  async function awsDocument(
    { metadata_url }: MigletConfig['controller']['join'],
    signal: AbortSignal,
  ): Promise<{ document: string; signature: string }> {
    const base = `${metadata_url || 'http://169.254.169.254'}/latest`;
    const life = { 'x-aws-ec2-metadata-token-ttl-seconds': String(AWS_TOKEN_LIFE_S) };
    const token = await ask('PUT', `${base}/api/token`, life, signal);
    const headers = { 'x-aws-ec2-metadata-token': token };
    const [document, signature] = await Promise.all(
      ['document', 'signature'].map((name) =>
        ask('GET', `${base}/dynamic/instance-identity/${name}`, headers, signal),
      ),
    );
    return { document: document ?? '', signature: signature ?? '' };
  }

  async function ask(
    method: 'GET' | 'PUT',
    url: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<string> {
    const { statusCode, text } = await askHttp(url, {
      method,
      headers,
      signal: AbortSignal.any([signal, AbortSignal.timeout(METADATA_TIMEOUT_MS)]),
    });
    if (statusCode !== 200) throw new Error(`the metadata server answered ${statusCode}`);
    return text;
  }
}

async function readToken(file: string): Promise<string> {
  if (file === '') throw new Error('controller.join.token_file names no file');
  const token = (await readFile(file, 'utf8')).trim();
  if (token === '') throw new Error(`the file ${file} is empty`);
  return token;
}
