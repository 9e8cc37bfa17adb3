/** `certs init|issue|renew`: certificates for the controller, for VMs and for operators, as files. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { errorMessage } from '@mig/common/errors';
import { toRfc3339 } from '@mig/common/clock';
import { CliError, EXIT, UsageError, type ExitCode } from '../errors.js';
import { formatTime } from '../output/time.js';
import type { Session } from '../session.js';
import { serialOfFile } from './revocation.js';
import {
  createAuthority,
  describeCertificate,
  issue,
  type CertificateAndKey,
  type Subject,
} from './authority.js';
import { CA, RESERVED, filesOf, readAuthorities, writeBoth } from './files.js';
import { hostNames, subjectOf, type SubjectFlags } from './subject.js';

export interface IssueFlags extends SubjectFlags {
  /** Milliseconds. */
  readonly lifeMs: number;
}

export interface RenewFlags {
  /** Names and addresses that are added to it. */
  readonly hosts?: readonly string[] | undefined;
  /** Milliseconds; undefined = as long as it was made for. */
  readonly lifeMs?: number | undefined;
}

/** The name of the first authority; the next ones are numbered. */
export const AUTHORITY_NAME = 'MIG controller CA';

/** Makes an authority in `directory`; never over one that is there. */
export async function initCerts({ io }: Session, directory: string, lifeMs: number): Promise<ExitCode> {
  const { certFile, keyFile } = filesOf(directory, CA);
  if (existsSync(certFile) || existsSync(keyFile)) {
    throw new UsageError(
      `there is an authority in ${directory} already`,
      'everything that it issued would be void: `migctl certs rotate begin` changes to another step by step; or name another folder with --dir',
    );
  }
  const made = await createAuthority(AUTHORITY_NAME, { nowMs: io.clock.now(), lifeMs });
  writeBoth(directory, CA, made);
  io.stdout.write(`authority ${certFile}\nits key   ${keyFile}: keep it away from the VMs\n`);
  return EXIT.done;
}

export async function issueCert(session: Session, directory: string, flags: IssueFlags): Promise<ExitCode> {
  const { file, subject } = subjectOf(flags);
  const { certFile } = filesOf(directory, file);
  if (existsSync(certFile))
    throw new UsageError(
      `${certFile} is there already`,
      `\`migctl certs renew ${certFile}\` makes it anew${flags.server === undefined ? '' : ', and adds names with --host'}`,
    );
  const made = await sign(session, directory, subject, flags.lifeMs);
  const files = writeBoth(directory, file, made);
  session.io.stdout.write(
    `certificate ${files.certFile}\nits key     ${files.keyFile}\nits serial  ${serialOfFile(files.certFile)}\n`,
  );
  return EXIT.done;
}

/** Makes each anew, for the same names and as long, with a new key. Whoever reads the files anew goes on with it. */
export async function renewCerts(
  session: Session,
  certFiles: readonly string[],
  { hosts, lifeMs }: RenewFlags,
): Promise<ExitCode> {
  for (const certFile of certFiles) {
    const directory = path.dirname(certFile);
    const file = path.basename(certFile, '.pem');
    if (RESERVED.includes(file))
      throw new UsageError(
        `${certFile} is the authority itself`,
        '`migctl certs rotate begin` changes to another; `migctl certs rotate --help` has the steps',
      );
    const known = describe(certFile);
    if (hosts !== undefined && known.subject.usage !== 'server')
      throw new UsageError(`--host: ${certFile} is no certificate of a controller`);
    const { subject } = known;
    const added = hosts === undefined ? [] : hostNames(hosts);
    const isNew = ({ value }: { value: string }): boolean =>
      subject.names.every((name) => name.value !== value);
    const names = [...subject.names, ...added.filter(isNew)];
    const made = await sign(session, directory, { ...subject, names }, lifeMs ?? known.lifeMs);
    writeBoth(directory, file, made);
    const endsAt = describe(certFile).endsAt;
    session.io.stdout.write(`${certFile} renewed until ${formatTime(toRfc3339(endsAt))}\n`);
  }
  return EXIT.done;
}

/** What would outlive its authority would be refused from that day on: it ends with it, and that is said. */
async function sign(
  { io }: Session,
  directory: string,
  subject: Subject,
  lifeMs: number,
): Promise<CertificateAndKey> {
  const { signer, key } = readAuthorities(directory);
  const nowMs = io.clock.now();
  const leftMs = Date.parse(signer.certificate.validTo) - nowMs;
  const endsAt = formatTime(toRfc3339(nowMs + leftMs));
  const rotate = '`migctl certs rotate begin` makes the next one';
  if (leftMs <= 0)
    throw new CliError(
      'authority-expired',
      `the authority in ${directory} has expired at ${endsAt}`,
      EXIT.failed,
      rotate,
    );
  if (leftMs < lifeMs) io.stderr.write(`It ends when its authority does, at ${endsAt}: ${rotate}.\n`);
  return issue({ certificate: signer.pem, key }, subject, { nowMs, lifeMs: Math.min(lifeMs, leftMs) });
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
