/**
 * `certs rotate begin|switch|end`: from one authority to the next without a connection that is refused.
 *
 * begin: `ca.pem` holds the next one too; everybody is given it. switch: the next one signs (`ca-next.key` becomes `ca.key`); all
 * certificates are renewed. end: `ca.pem` holds the next one alone; what the one before has signed is void where it is read.
 * Which signs is told by `ca.key` alone, so that a step that was broken off can be done again.
 */
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { CliError, EXIT, type ExitCode } from '../errors.js';
import type { Session } from '../session.js';
import { createAuthority } from './authority.js';
import { AUTHORITY_NAME } from './certs.js';
import {
  CA,
  NEXT_CA,
  PREVIOUS_CA,
  changeFiles,
  filesOf,
  readAuthorities,
  replaceFile,
  signerOf,
  type Authorities,
} from './files.js';
import type { RotateStep } from './rotate-step.js';

/** @throws CliError if the step is not the next one */
export async function rotateAuthority(
  { io }: Session,
  directory: string,
  step: RotateStep,
  lifeMs: number,
): Promise<ExitCode> {
  const authorities = readAuthorities(directory);
  const { certFile, keyFile } = filesOf(directory, CA);
  const nextKeyFile = filesOf(directory, NEXT_CA).keyFile;
  const previousKeyFile = filesOf(directory, PREVIOUS_CA).keyFile;
  const hasNext = existsSync(nextKeyFile) && nextOf(authorities, nextKeyFile) !== undefined;
  const hasSwitched = !hasNext && authorities.all.length > 1;
  assertNext(step, hasNext ? 'begin' : hasSwitched ? 'switch' : 'end', directory);
  switch (step) {
    case 'begin': {
      const next = await createAuthority(nextName(authorities), { nowMs: io.clock.now(), lifeMs });
      changeFiles(directory, () => {
        replaceFile(nextKeyFile, next.key, 0o600);
        replaceFile(certFile, authorities.signer.pem + next.certificate, 0o644);
      });
      io.stdout.write(
        `${certFile} holds the authority that signs, and the next one. Now:\n` +
          `1. copy ${certFile} to every VM, operator and controller that has a copy of it (ca_file, --ca-file, client_ca_file)\n` +
          `2. when all have it: migctl certs rotate switch --dir ${directory}\n`,
      );
      return EXIT.done;
    }
    case 'switch':
      changeFiles(directory, () => {
        replaceFile(previousKeyFile, authorities.key, 0o600);
        renameSync(nextKeyFile, keyFile);
      });
      io.stdout.write(
        `The next authority signs. Now:\n` +
          `1. migctl certs renew FILE… of every certificate, and copy each with its key to where it is used\n` +
          `2. when all are renewed: migctl certs rotate end --dir ${directory}\n`,
      );
      return EXIT.done;
    case 'end':
      changeFiles(directory, () => {
        replaceFile(certFile, authorities.signer.pem, 0o644);
        rmSync(previousKeyFile, { force: true });
      });
      io.stdout.write(
        `${certFile} holds the new authority alone. Copy it to where the one before is: what that one signed is refused from then on.\n`,
      );
      return EXIT.done;
  }
}

const nextOf = ({ all }: Authorities, nextKeyFile: string): unknown =>
  signerOf(all, readFileSync(nextKeyFile, 'utf8'));

/** `MIG controller CA 2`: in a list of authorities one is told from the other. */
function nextName({ signer }: Authorities): string {
  const number = Number(/ (\d{1,6})$/.exec(signer.certificate.subject)?.[1] ?? 1);
  return `${AUTHORITY_NAME} ${number + 1}`;
}

function assertNext(step: RotateStep, last: RotateStep, directory: string): void {
  const next: RotateStep = last === 'begin' ? 'switch' : last === 'switch' ? 'end' : 'begin';
  if (step === next) return;
  const where = last === 'end' ? 'no change of the authority is under way' : `the last step was ${last}`;
  throw new CliError(
    'wrong-step',
    `in ${directory} ${where}`,
    EXIT.failed,
    `the next step is \`migctl certs rotate ${next} --dir ${directory}\``,
  );
}
