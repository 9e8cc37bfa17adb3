/** Commands about certificates: certs init, issue, renew, rotate, revoke, revoked. */
import { Argument, InvalidArgumentError, Option, type Command } from 'commander';
import { ROLES, type Role } from '@mig/common/domain/roles';
import { parseDuration } from '@mig/common/config/duration';
import { ROTATE_STEPS, type RotateStep } from '../certs/rotate-step.js';
import { parseHost } from '../certs/host.js';
import { refuseUnknownResource } from './observe.js';
import { idArgument, withExamples, type Act } from './options.js';

const DAY_MS = 86_400_000;
const MAX_LIFE_MS = 3_660 * DAY_MS;

const directoryOption = (): Option =>
  new Option('--dir <directory>', 'where the authority and the certificates are').default('certs');

const hostOption = (help: string): Option =>
  new Option('--host <hosts>', help).argParser((text: string) => text.split(',').map(hostArgument));

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
      .addOption(hostOption('… and by these names and addresses, comma-separated'))
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
      .addOption(hostOption('for a controller: names and addresses to add, comma-separated'))
      .addOption(
        new Option('--expires <duration>', 'how long it is good; default: as long as before').argParser(
          lifeArgument,
        ),
      )
      .action((files: string[], options: { host?: readonly string[]; expires?: number }, command: Command) =>
        act(command, async (session) =>
          (await import('../certs/certs.js')).renewCerts(session, files, {
            hosts: options.host,
            lifeMs: options.expires,
          }),
        ),
      ),
    ['migctl certs renew certs/mig.example.pem', 'migctl certs renew certs/mig.example.pem --host 10.0.0.6'],
  );

  withExamples(
    certs
      .command('rotate')
      .description('change to another authority, in three steps; each says what comes next')
      .addArgument(
        new Argument(
          '<step>',
          'begin: both are trusted; switch: the new one signs; end: the old one is void',
        ).choices(ROTATE_STEPS),
      )
      .addOption(directoryOption())
      .addOption(lifeOption('3650d'))
      .action((step: RotateStep, options: { dir: string; expires: number }, command: Command) =>
        act(command, async (session) =>
          (await import('../certs/rotate.js')).rotateAuthority(session, options.dir, step, options.expires),
        ),
      ),
    ['migctl certs rotate begin', 'migctl certs rotate switch', 'migctl certs rotate end'],
  );

  withExamples(
    certs
      .command('revoke')
      .summary('have certificates of operators and VMs taken no more')
      .description(
        'have the controller take certificates of operators and VMs no more, from now on; a VM that has joined keeps its session',
      )
      .argument('<certificate...>', 'serial numbers, or .pem files')
      .action((certificates: string[], _options: unknown, command: Command) =>
        act(command, async (session) =>
          (await import('../certs/revocation.js')).revokeCerts(session, certificates),
        ),
      ),
    ['migctl certs revoke certs/ann.pem', 'migctl certs revoke 5D1B0A61A5F4B2E3C7D8'],
  );
  withExamples(
    certs
      .command('revoked')
      .description('list the certificates that the controller takes no more')
      .action((_options: unknown, command: Command) =>
        act(command, async (session) => (await import('../certs/revocation.js')).listRevoked(session)),
      ),
    ['migctl certs revoked'],
  );
}

function lifeArgument(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === undefined || durationMs < 1_000 || durationMs > MAX_LIFE_MS)
    throw new InvalidArgumentError('Write a duration from 1s to 3660d, such as 365d.');
  return durationMs;
}

function hostArgument(text: string): string {
  const host = parseHost(text);
  if (host === undefined)
    throw new InvalidArgumentError(
      'Give a host name or an address, without a port and without brackets, such as mig.example or 10.0.0.5.',
    );
  return host;
}
