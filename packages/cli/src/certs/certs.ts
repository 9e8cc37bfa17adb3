/** `certs init|issue|renew`: certificates for the controller, for VMs and for operators, as files. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import { EVERY_POOL, type Role } from '@mig/common/domain/roles';
import { errorMessage } from '@mig/common/errors';
import { CliError, EXIT, UsageError, type ExitCode } from '../errors.js';
import { formatTime } from '../output/time.js';
import type { Session } from '../session.js';
import {
  createAuthority,
  describeCertificate,
  issue,
  type CertificateAndKey,
  type Subject,
} from './authority.js';

const CA = 'ca';

export interface IssueFlags {
  readonly server?: string | undefined;
  readonly hosts?: readonly string[] | undefined;
  readonly vm?: string | undefined;
  readonly operator?: string | undefined;
  readonly role?: Role | undefined;
  readonly pool?: readonly string[] | undefined;
  /** Milliseconds. */
  readonly lifeMs: number;
}

/** Makes an authority in `directory`; never over one that is there. */
export async function initCerts({ io }: Session, directory: string, lifeMs: number): Promise<ExitCode> {
  const { certFile, keyFile } = filesOf(directory, CA);
  if (existsSync(certFile) || existsSync(keyFile)) {
    throw new UsageError(
      `there is an authority in ${directory} already`,
      'everything that it issued would be void: name another folder with --dir, or remove it',
    );
  }
  const made = await createAuthority('MIG controller CA', { nowMs: io.clock.now(), lifeMs });
  write(directory, CA, made);
  io.stdout.write(`authority ${certFile}\nits key   ${keyFile}: keep it away from the VMs\n`);
  return EXIT.done;
}

export async function issueCert({ io }: Session, directory: string, flags: IssueFlags): Promise<ExitCode> {
  const { file, subject } = subjectOf(flags);
  const { certFile } = filesOf(directory, file);
  if (existsSync(certFile))
    throw new UsageError(`${certFile} is there already`, `\`migctl certs renew ${certFile}\` makes it anew`);
  const made = await sign(directory, subject, io.clock.now(), flags.lifeMs);
  const files = write(directory, file, made);
  io.stdout.write(`certificate ${files.certFile}\nits key     ${files.keyFile}\n`);
  return EXIT.done;
}

/** Makes each anew, for the same names and as long, with a new key. Whoever reads the files anew goes on with it. */
export async function renewCerts({ io }: Session, certFiles: readonly string[]): Promise<ExitCode> {
  for (const certFile of certFiles) {
    const directory = path.dirname(certFile);
    const file = path.basename(certFile, '.pem');
    const known = describe(certFile);
    const made = await sign(directory, known.subject, io.clock.now(), known.lifeMs);
    write(directory, file, made);
    const endsAt = describe(certFile).endsAt;
    io.stdout.write(`${certFile} renewed until ${formatTime(new Date(endsAt).toISOString())}\n`);
  }
  return EXIT.done;
}

/** @throws UsageError unless it is for exactly one of them */
function subjectOf({ server, hosts, vm, operator, role, pool }: IssueFlags): {
  file: string;
  subject: Subject;
} {
  if ([server, vm, operator].filter((one) => one !== undefined).length !== 1)
    throw new UsageError('what is the certificate for?', 'give one of --controller, --vm and --operator');
  const url = (value: string) => ({ type: 'url' as const, value });
  if (server !== undefined) {
    const names = [server, ...(hosts ?? [])].map((value) => ({
      type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
      value,
    }));
    return { file: server, subject: { name: server, usage: 'server', names } };
  }
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

async function sign(
  directory: string,
  subject: Subject,
  nowMs: number,
  lifeMs: number,
): Promise<CertificateAndKey> {
  const { certFile, keyFile } = filesOf(directory, CA);
  try {
    const authority = { certificate: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
    return await issue(authority, subject, { nowMs, lifeMs });
  } catch (error) {
    throw new CliError(
      'no-authority',
      `the authority in ${directory} cannot be used (${errorMessage(error)})`,
      EXIT.failed,
      '`migctl certs init` makes one; --dir names its folder',
    );
  }
}

function describe(certFile: string): NonNullable<ReturnType<typeof describeCertificate>> {
  let known;
  try {
    known = describeCertificate(readFileSync(certFile, 'utf8'));
  } catch (error) {
    throw new UsageError(`${certFile} is no certificate (${errorMessage(error)})`);
  }
  if (known === undefined)
    throw new UsageError(`${certFile} is no certificate that \`migctl certs issue\` made`);
  return known;
}

const filesOf = (directory: string, name: string): { certFile: string; keyFile: string } => ({
  certFile: path.join(directory, `${name}.pem`),
  keyFile: path.join(directory, `${name}.key`),
});

/** The key first: whoever reads both in between finds that they do not fit, and reads them again. */
function write(
  directory: string,
  name: string,
  { certificate, key }: CertificateAndKey,
): { certFile: string; keyFile: string } {
  const { certFile, keyFile } = filesOf(directory, name);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    replace(keyFile, key, 0o600);
    replace(certFile, certificate, 0o644);
  } catch (error) {
    throw new CliError('not-written', `${directory} cannot be written (${errorMessage(error)})`, EXIT.failed);
  }
  return { certFile, keyFile };
}

function replace(file: string, content: string, mode: number): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    writeFileSync(temporary, content, { mode, flag: 'wx' });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
