/** The command tree of migctl. */
import { Command, Option } from 'commander';
import { VERSION } from '@mig/common/version';
import { EXIT } from './errors.js';
import type { Io } from './io.js';
import { createColours } from './output/colour.js';
import type { GlobalOptions } from './session.js';
import { addAccess } from './tree/access.js';
import { addCerts } from './tree/certs.js';
import { addCordon, addUncordon } from './tree/cordon.js';
import { addDrain, addUndrain, addWait } from './tree/drains.js';
import { addDescribe, addEvents, addGet } from './tree/observe.js';
import { addOperations } from './tree/operate.js';
import { positiveDurationArgument, withExamples, type Act } from './tree/options.js';
import { addCompletion, addVersion } from './tree/shell.js';
import { addDocker } from './tree/docker.js';
import { addJobs } from './tree/jobs.js';
import { addExec, addTasks } from './tree/tasks.js';

export interface Program {
  readonly command: Command;
  /** Exit code of the command that ran. */
  exitCode(): number;
}

export function createProgram(io: Io): Program {
  let exitCode: number = EXIT.done;
  const finish = (code: number) => {
    exitCode = code;
  };
  const act: Act = async (command, run) => {
    const { createSession } = await import('./session.js');
    finish(await run(createSession(io, command.optsWithGlobals<GlobalOptions>())));
  };
  const command = new Command('migctl')
    .description('Look after fleets of self-hosted GitHub Actions runners on VMs.')
    .version(`migctl ${VERSION}`, '-V, --version', 'print the version of migctl')
    .addOption(
      new Option(
        '--server <url>',
        'address of the controller (MIGCTL_SERVER, else that of the context, else http://127.0.0.1:8080)',
      ),
    )
    .addOption(
      new Option(
        '--context <name>',
        'the controller that you are logged in at under this name (MIGCTL_CONTEXT)',
      ),
    )
    .addOption(
      new Option(
        '--token-file <file>',
        'file with a token (MIGCTL_TOKEN_FILE, MIGCTL_TOKEN, else that of the context); - is standard input',
      ),
    )
    .addOption(new Option('--ca-file <file>', "authority of the controller's certificate (MIGCTL_CA_FILE)"))
    .addOption(new Option('--cert-file <file>', 'client certificate (MIGCTL_CERT_FILE)'))
    .addOption(new Option('--key-file <file>', 'its key (MIGCTL_KEY_FILE)'))
    .addOption(new Option('--insecure', 'send the token over plain HTTP without a warning'))
    .addOption(
      new Option('--request-timeout <duration>', 'how long one request to the controller may take')
        .argParser(positiveDurationArgument)
        .default(10_000, '10s'),
    )
    .exitOverride()
    .showHelpAfterError('(add --help for the options and examples)')
    .configureHelp({ showGlobalOptions: true, styleTitle: createColours(io.env, io.stdout).bold })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      getOutHelpWidth: () => io.stdout.columns(),
      getErrHelpWidth: () => io.stderr.columns(),
      getOutHasColors: () => createColours(io.env, io.stdout).enabled,
      getErrHasColors: () => createColours(io.env, io.stderr).enabled,
    });
  withExamples(command, ['migctl get vms', 'migctl drain demo-vm-1 --wait', 'migctl events -f']).addHelpText(
    'after',
    '\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 timed out, 130 interrupted.\nNO_COLOR and FORCE_COLOR turn colours off and on.',
  );
  addGet(command, act);
  addDescribe(command, act);
  addEvents(command, act);
  addDrain(command, act);
  addUndrain(command, act);
  addWait(command, act);
  addCordon(command, act);
  addUncordon(command, act);
  addOperations(command, act);
  addExec(command, act);
  addDocker(command, act);
  addTasks(command, act);
  addJobs(command, act);
  addAccess(command, act);
  addCerts(command, act);
  addCompletion(command, io, finish);
  addVersion(command, act);
  return { command, exitCode: () => exitCode };
}
