/** Commands about certificates: certs init, issue, renew. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { ROLES, type Role } from '@mig/common/domain/roles';
import { parseDuration } from '@mig/common/config/duration';
import { refuseUnknownResource } from './observe.js';
import { idArgument, withExamples, type Act } from './options.js';

const DAY_MS = 86_400_000;
const MAX_LIFE_MS = 3_660 * DAY_MS;

const directoryOption = (): Option =>
  new Option('--dir <directory>', 'where the authority and the certificates are').default('certs');

const lifeOption = (initial: string): Option =>
  new Option('--expires <duration>', 'how long it is good')
    .argParser(lifeArgument)
    .default(lifeArgument(initial), initial);

export function addCerts(program: Command, act: Act): void {
  const certs = program
    .command('certs')
    .description('certificates for TLS, for those who have no authority of their own')
    .helpCommand(false);
  refuseUnknownResource(certs);
  withExamples(certs, [
    'migctl certs init',
    'migctl certs issue --controller mig.example --host 10.0.0.5',
    'migctl certs renew certs/mig.example.pem',
  ]);

  withExamples(
    certs
      .command('init')
      .description('make an authority: ca.pem for everybody, and ca.key, which signs')
      .addOption(directoryOption())
      .addOption(lifeOption('3650d'))
      .action((options: { dir: string; expires: number }, command: Command) =>
        act(command, async (session) =>
          (await import('../certs/certs.js')).initCerts(session, options.dir, options.expires),
        ),
      ),
    ['migctl certs init --dir /etc/mig/certs'],
  );

  withExamples(
    certs
      .command('issue')
      .description('make a certificate and its key, for a controller, a VM or an operator')
      .addOption(directoryOption())
      .addOption(
        new Option('--controller <host>', 'for a controller that is reached by this name').argParser(
          hostArgument,
        ),
      )
      .addOption(
        new Option('--host <hosts>', '… and by these names and addresses, comma-separated').argParser(
          (text: string) => text.split(',').map(hostArgument),
        ),
      )
      .addOption(new Option('--vm <vm>', 'for a VM: it joins by it').argParser(idArgument))
      .addOption(new Option('--operator <name>', 'for a person or a program').argParser(idArgument))
      .addOption(new Option('--role <role>', 'what the operator may').choices(ROLES))
      .addOption(
        new Option(
          '--pool <pools>',
          'of the VM; or the pools in which the operator has the role, comma-separated',
        ).argParser((text: string) => text.split(',').map((pool) => idArgument(pool.trim()))),
      )
      .addOption(lifeOption('365d'))
      .action(
        (
          options: {
            dir: string;
            controller?: string;
            host?: readonly string[];
            vm?: string;
            operator?: string;
            role?: Role;
            pool?: readonly string[];
            expires: number;
          },
          command: Command,
        ) =>
          act(command, async (session) => {
            const { issueCert } = await import('../certs/certs.js');
            const { dir, controller, host, vm, operator, role, pool, expires } = options;
            return issueCert(session, dir, {
              server: controller,
              hosts: host,
              vm,
              operator,
              role,
              pool,
              lifeMs: expires,
            });
          }),
      ),
    [
      'migctl certs issue --controller mig.example --host 10.0.0.5,localhost',
      'migctl certs issue --vm runner-7 --pool linux',
      'migctl certs issue --operator ann --role operator',
    ],
  );

  withExamples(
    certs
      .command('renew')
      .description('make certificates anew, for the same names; a controller reads them by itself')
      .argument('<file...>', 'the .pem files; the authority is beside them')
      .action((files: string[], _options: unknown, command: Command) =>
        act(command, async (session) => (await import('../certs/certs.js')).renewCerts(session, files)),
      ),
    ['migctl certs renew certs/mig.example.pem'],
  );
}

function lifeArgument(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === undefined || durationMs < 1_000 || durationMs > MAX_LIFE_MS)
    throw new InvalidArgumentError('Write a duration from 1s to 3660d, such as 365d.');
  return durationMs;
}

function hostArgument(text: string): string {
  const host = text.trim();
  if (!/^(\*\.)?[A-Za-z0-9:]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9:])?$/.test(host))
    throw new InvalidArgumentError('Give a host name or an address, without a port.');
  return host;
}
