/** What is configured and lets nobody join, for the log at every start: no fault of the syntax, so that it is easily overlooked. */
import { access, constants } from 'node:fs/promises';
import type { AuthConfig, PoolJoin } from './auth-config.js';

export interface JoinConfig {
  readonly auth: Pick<AuthConfig, 'join'>;
  readonly pools: Readonly<
    Record<string, { readonly join?: PoolJoin | undefined; readonly allow_unauthenticated: boolean }>
  >;
  readonly tls: { readonly client_ca_file: string; readonly client_certificates: string };
}

/** Empty = nothing. */
export async function joinWarnings({ auth, pools, tls }: JoinConfig): Promise<string[]> {
  const found: string[] = [];
  const look = async (key: string, join: PoolJoin, isOpen: boolean): Promise<void> => {
    for (const problem of await problemsOf(join, tls, isOpen)) found.push(`${key}: ${problem}`);
  };
  await look('auth.join', auth.join, false);
  for (const [poolId, pool] of Object.entries(pools))
    if (pool.join !== undefined) await look(`pools.${poolId}.join`, pool.join, pool.allow_unauthenticated);
  return found;
}

async function problemsOf(
  { methods, token_file: tokenFile, gce, aws }: PoolJoin,
  tls: JoinConfig['tls'],
  isOpen: boolean,
): Promise<string[]> {
  const found: string[] = [];
  const expect = (holds: boolean, problem: string): void => {
    if (!holds) found.push(problem);
  };
  expect(methods.length > 0 || isOpen, 'methods is empty: no VM can join');
  if (methods.includes('mtls'))
    expect(
      tls.client_ca_file !== '' && tls.client_certificates !== 'none',
      'nobody can join by mtls: it needs tls.client_ca_file, and tls.client_certificates optional or required',
    );
  if (methods.includes('gce'))
    expect(
      gce.audience !== '' && gce.projects.length > 0,
      'nobody can join by gce: it needs gce.audience and gce.projects',
    );
  if (methods.includes('aws'))
    expect(
      aws.accounts.length > 0 && Object.keys(aws.certificates).length > 0,
      'nobody can join by aws: it needs aws.accounts and aws.certificates',
    );
  if (tokenFile !== '') {
    expect(methods.includes('token'), 'token_file is of no use: methods has no token');
    expect(await isReadable(tokenFile), `token_file ${tokenFile} cannot be read: nobody can join by it`);
  }
  for (const file of methods.includes('aws') ? Object.values(aws.certificates) : [])
    expect(await isReadable(file), `the certificate ${file} cannot be read: nobody can join by it`);
  return found;
}

const isReadable = (file: string): Promise<boolean> =>
  access(file, constants.R_OK).then(
    () => true,
    () => false,
  );
