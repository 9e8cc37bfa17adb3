/** What a certificate is for, by the flags of `certs issue`, and the name of its file. */
import { isIP } from 'node:net';
import { EVERY_POOL, type Role } from '@mig/common/domain/roles';
import { UsageError } from '../errors.js';
import type { Subject } from './authority.js';
import { RESERVED } from './files.js';

export interface SubjectFlags {
  readonly server?: string | undefined;
  readonly hosts?: readonly string[] | undefined;
  readonly vm?: string | undefined;
  readonly operator?: string | undefined;
  readonly role?: Role | undefined;
  readonly pool?: readonly string[] | undefined;
}

export interface NamedSubject {
  /** Without its ending. */
  readonly file: string;
  readonly subject: Subject;
}

/** @throws UsageError unless it is for exactly one of them, under a name that is free for it */
export function subjectOf(flags: SubjectFlags): NamedSubject {
  const named = chosen(flags);
  if (RESERVED.includes(named.file))
    throw new UsageError(
      `${named.file}.pem and ${named.file}.key are files of the authority`,
      'choose another name',
    );
  return named;
}

function chosen({ server, hosts, vm, operator, role, pool }: SubjectFlags): NamedSubject {
  if ([server, vm, operator].filter((one) => one !== undefined).length !== 1)
    throw new UsageError('what is the certificate for?', 'give one of --controller, --vm and --operator');
  const url = (value: string) => ({ type: 'url' as const, value });
  if (server !== undefined)
    return {
      file: fileNameOf(server),
      subject: { name: server, usage: 'server', names: hostNames([server, ...(hosts ?? [])]) },
    };
  if (hosts !== undefined)
    throw new UsageError('--host is for a controller', 'leave it out, or give --controller');
  if (vm !== undefined) {
    const names = [url(`urn:mig:vm:${vm}`), ...(pool ?? []).map((id) => url(`urn:mig:pool:${id}`))];
    return { file: vm, subject: { name: vm, usage: 'client', names } };
  }
  if (role === undefined)
    throw new UsageError('what may the operator do?', 'give --role viewer, operator or admin');
  const roles = (pool ?? [EVERY_POOL]).map((id) =>
    url(`urn:mig:role:${role}${id === EVERY_POOL ? '' : `:${id}`}`),
  );
  const name = operator ?? '';
  return {
    file: name,
    subject: { name, usage: 'client', names: [url(`urn:mig:operator:${name}`), ...roles] },
  };
}

/** Each once. */
export const hostNames = (hosts: readonly string[]): Subject['names'] =>
  [...new Set(hosts)].map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }));

/** `*.mig.example` -> `wildcard.mig.example`, `::1` -> `--1`: a shell takes neither `*` nor `:` for a part of a name. */
const fileNameOf = (host: string): string => host.replace(/^\*/, 'wildcard').replaceAll(':', '-');
