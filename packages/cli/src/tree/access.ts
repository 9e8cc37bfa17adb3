/** Commands about who gets in: login, whoami, context, token, audit, release. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { MAX_TOKEN_LIFE_MS, ROLES, type Role } from '@mig/common/domain/roles';
import { parseDuration } from '@mig/common/config/duration';
import { refuseUnknownResource } from './observe.js';
import {
  countArgument,
  formatOption,
  idArgument,
  noHeadersOption,
  withExamples,
  type Act,
  type ListOptions,
} from './options.js';

const DAY_MS = 86_400_000;

export function addAccess(program: Command, act: Act): void {
  addLogin(program, act);
  addContext(program, act);
  addToken(program, act);
  addAudit(program, act);
  const release = program
    .command('release')
    .summary('let another boot of a VM join under its name')
    .description(
      "end the session of a VM's present boot, so that the next boot may join under its name; by itself that is so when the VM has ended or is lost",
    )
    .argument('<vm...>', 'names of VMs')
    .action((vmIds: string[], _options: unknown, command: Command) =>
      act(command, async (session) => (await import('../access/tokens.js')).releaseVms(session, vmIds)),
    );
  withExamples(release, ['migctl release runner-7']);
}

function addLogin(program: Command, act: Act): void {
  const login = program
    .command('login')
    .summary('keep a token for a controller')
    .description(
      'keep the token of --token-file for the controller of --server, in a file that only you can read, and make it the current one.\n\n' +
        'A token is never an argument: others could see it.',
    )
    .option('--name <name>', 'how the context is called; default: the host of the controller', contextName)
    .option('--keep-current', 'make it the current one only if there is none')
    .action((options: { name?: string; keepCurrent?: true }, command: Command) =>
      act(command, async (session) => {
        const { login: run } = await import('../access/login.js');
        return run(session, options.name ?? new URL(session.server).host, options.keepCurrent === true);
      }),
    );
  withExamples(login, [
    'migctl login --server https://mig.example:8080 --token-file ~/token',
    'pass show mig | migctl login --server https://mig.example:8080 --token-file -',
  ]);

  const who = program
    .command('whoami')
    .description('say whose credential is used, and what it may')
    .addOption(formatOption(['table', 'json']))
    .action((options: { output: 'table' | 'json' }, command: Command) =>
      act(command, async (session) => (await import('../access/login.js')).whoami(session, options.output)),
    );
  withExamples(who, ['migctl whoami', 'migctl whoami -o json']);
}

function addContext(program: Command, act: Act): void {
  const context = program
    .command('context')
    .description('controllers that you are logged in at')
    .helpCommand(false);
  refuseUnknownResource(context);
  withExamples(context, ['migctl context list', 'migctl context use production']);
  withExamples(
    context
      .command('list')
      .description('list them; the current one is marked')
      .action((_options: unknown, command: Command) =>
        act(command, async (session) => (await import('../access/login.js')).listContexts(session)),
      ),
    ['migctl context list'],
  );
  withExamples(
    context
      .command('use')
      .description('make one the current one')
      .argument('<name>', 'its name')
      .action((name: string, _options: unknown, command: Command) =>
        act(command, async (session) => (await import('../access/login.js')).useContext(session, name)),
      ),
    ['migctl context use production'],
  );
  withExamples(
    context
      .command('remove')
      .description('forget one, with its token; at the controller the token lives on until it is revoked')
      .argument('<name>', 'its name')
      .action((name: string, _options: unknown, command: Command) =>
        act(command, async (session) => (await import('../access/login.js')).removeContext(session, name)),
      ),
    ['migctl context remove demo'],
  );
}

function addToken(program: Command, act: Act): void {
  const token = program
    .command('token')
    .description('tokens of operators, and of the VMs of a pool')
    .helpCommand(false);
  refuseUnknownResource(token);
  withExamples(token, ['migctl token create --role viewer --name ci', 'migctl token list']);

  const create = token
    .command('create')
    .description('make a token and print it; it cannot be shown again')
    .addOption(new Option('--role <role>', 'for an operator: what it may').choices(ROLES))
    .addOption(
      new Option('--pool <pools>', 'only in these pools, comma-separated; default: in every pool').argParser(
        poolsArgument,
      ),
    )
    .addOption(new Option('--join <pool>', 'for VMs: they join this pool with it').argParser(idArgument))
    .addOption(new Option('--vm <vm>', 'only this VM joins with it').argParser(idArgument))
    .addOption(
      new Option('--max-vms <count>', 'so many VMs join with it, and no more').argParser(countArgument(1)),
    )
    .option('--name <name>', 'whose it is, or what for; stands in the audit log')
    .addOption(
      new Option('--expires <duration>', 'how long it is taken, at most 366d')
        .argParser(lifeArgument)
        .default(30 * DAY_MS, '30d'),
    )
    .addOption(formatOption(['table', 'json']))
    .action(
      (
        options: {
          role?: Role;
          pool?: readonly string[];
          join?: string;
          vm?: string;
          maxVms?: number;
          name?: string;
          expires: number;
          output: 'table' | 'json';
        },
        command: Command,
      ) =>
        act(command, async (session) => (await import('../access/tokens.js')).createToken(session, options)),
    );
  withExamples(create, [
    'migctl token create --role operator --name ann --expires 30d > token',
    'migctl token create --role operator --pool linux,gpu --name ci',
    'migctl token create --join linux --expires 90d > join-token',
  ]);

  withExamples(
    token
      .command('list')
      .description('list them, oldest first')
      .addOption(formatOption())
      .addOption(noHeadersOption())
      .action((options: ListOptions, command: Command) =>
        act(command, async (session) => (await import('../access/tokens.js')).listTokens(session, options)),
      ),
    ['migctl token list', 'migctl token list -o json'],
  );
  withExamples(
    token
      .command('revoke')
      .description(
        'take tokens no more, from now on; VMs that joined by one have to join again, their jobs go on',
      )
      .argument('<id...>', 'ids of tokens')
      .option(
        '--keep-sessions',
        'of a join token: VMs that have joined by it go on, and none joins by it any more',
      )
      .action((ids: string[], options: { keepSessions?: boolean }, command: Command) =>
        act(command, async (session) =>
          (await import('../access/tokens.js')).revokeTokens(session, ids, options),
        ),
      ),
    [
      'migctl token revoke token-01k7v08vh4aklasvg1em',
      'migctl token revoke --keep-sessions token-01k7v08vh4aklasvg1em',
    ],
  );
}

function addAudit(program: Command, act: Act): void {
  const audit = program
    .command('audit')
    .description('who did what to which VM, from where, and how it ended')
    .helpCommand(false);
  refuseUnknownResource(audit);
  withExamples(audit, ['migctl audit show --tail 50', 'migctl audit verify']);
  withExamples(
    audit
      .command('show')
      .description('print the newest entries, newest last')
      .addOption(new Option('--tail <count>', 'how many').argParser(countArgument(1)).default(50))
      .addOption(formatOption(['table', 'json']))
      .action((options: { tail: number; output: 'table' | 'json' }, command: Command) =>
        act(command, async (session) => (await import('../access/audit.js')).showAudit(session, options)),
      ),
    ['migctl audit show', 'migctl audit show --tail 1000 -o json'],
  );
  withExamples(
    audit
      .command('verify')
      .description('check that no entry was changed, removed or put in')
      .option('--dir <directory>', "the controller's .audit folder, or a copy; default: ask the controller")
      .option('--auth-dir <directory>', "the controller's .auth folder; default: the one beside --dir")
      .option('--since <head>', 'a head that was printed before: it must still be there')
      .action((options: { dir?: string; authDir?: string; since?: string }, command: Command) =>
        act(command, async (session) =>
          (await import('../access/audit.js')).verifyAudit(session, {
            directory: options.dir,
            authDirectory: options.authDir,
            since: options.since,
          }),
        ),
      ),
    ['migctl audit verify', 'migctl audit verify --dir /var/lib/mig/.audit'],
  );
}

function lifeArgument(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === undefined || durationMs < 1_000 || durationMs > MAX_TOKEN_LIFE_MS)
    throw new InvalidArgumentError('Write a duration from 1s to 366d, such as 30d.');
  return durationMs;
}

const poolsArgument = (text: string): string[] => text.split(',').map((pool) => idArgument(pool.trim()));

function contextName(text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$/.test(text))
    throw new InvalidArgumentError('Use 1 to 63 of a-z A-Z 0-9 . _ : - and begin with a letter or a digit.');
  return text;
}
