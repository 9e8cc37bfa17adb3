/** `migctl docker`: the Docker engine of a VM. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { DockerWorkResource } from '@mig/common/api/docker-work';
import type { TaskResource } from '@mig/common/api/task-resource';
import { formatOption, noHeadersOption, withExamples, type Act, type ListOptions } from './options.js';
import { refuseUnknownResource } from './observe.js';
import { envOption, timeoutOption } from './tasks.js';

const several = (flags: string, help: string): Option =>
  new Option(flags, `${help}; may be given several times`)
    .argParser((text: string, before: readonly string[] = []) => [...before, text])
    .default([], 'none');

/** `512m`, `2g`, or bytes. */
function bytesArgument(text: string): number {
  const [, amount, unit = ''] = /^(\d+)([kmg]?)$/i.exec(text) ?? [];
  if (amount === undefined) throw new InvalidArgumentError('Write a size such as 512m or 2g.');
  return Number(amount) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase());
}

function numberArgument(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('Write a number such as 1.5.');
  return value;
}

interface RunFlags {
  readonly name?: string;
  readonly env: string[];
  readonly volume: string[];
  readonly publish: string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly network?: string;
  readonly memory?: number;
  readonly cpus?: number;
  readonly detach?: true;
  readonly rm?: true;
  readonly pull?: true;
  readonly timeout: number;
}

export function addDocker(program: Command, act: Act): void {
  const docker = program
    .command('docker')
    .description('run, start, stop, remove and look at containers on a VM')
    .helpCommand(false);
  refuseUnknownResource(docker);
  withExamples(docker, [
    'migctl docker ls demo-vm-1',
    'migctl docker run --rm demo-vm-1 alpine -- echo hello',
  ]);

  const run = docker
    .command('run')
    .description('make a container and start it; its output and exit code are those of this command')
    .argument('<vm>', 'name of the VM')
    .argument('<image>', 'image; pulled if it is not there')
    .argument('[command...]', 'command in the container, after --')
    .option('--name <name>', 'name of the container')
    .addOption(envOption())
    .addOption(several('-v, --volume <host:container>', 'a folder of the VM in the container'))
    .addOption(several('-p, --publish <host:container>', 'a port of the container on the VM'))
    .option('-w, --workdir <folder>', 'where it runs, in the container')
    .option('-u, --user <user>', 'as whom it runs')
    .option('--network <network>', 'network of the container')
    .addOption(new Option('-m, --memory <size>', 'most memory: 512m, 2g').argParser(bytesArgument))
    .addOption(new Option('--cpus <number>', 'most cores: 1.5').argParser(numberArgument))
    .option('-d, --detach', 'leave it running')
    .option('--rm', 'remove the container when it has ended')
    .option('--pull', 'pull the image also if it is there')
    .addOption(timeoutOption())
    .action((vmId: string, image: string, words: string[], flags: RunFlags, command: Command) => {
      const work = {
        run: {
          image,
          command: words,
          name: flags.name ?? '',
          env: flags.env,
          volumes: flags.volume,
          ports: flags.publish,
          workdir: flags.workdir ?? '',
          user: flags.user ?? '',
          network: flags.network ?? '',
          labels: {},
          memory: flags.memory ?? 0,
          cpus: flags.cpus ?? 0,
          detach: flags.detach === true,
          rm: flags.rm === true,
          pull: flags.pull === true,
        },
      };
      const done = (task: TaskResource): string => (flags.detach === true ? (task.container_id ?? '') : '');
      return perform(act, command, vmId, work, flags.timeout, done);
    });
  withExamples(run, [
    'migctl docker run --rm demo-vm-1 alpine -- echo hello',
    'migctl docker run -d --name cache -p 6379:6379 demo-vm-1 redis:7',
  ]);

  const onContainer = (
    name: string,
    description: string,
    toWork: (container: string, flags: Record<string, unknown>) => DockerWorkResource,
  ): Command => {
    const command = docker
      .command(name)
      .description(description)
      .argument('<vm>', 'name of the VM')
      .argument('<container>', 'name or id of the container')
      .addOption(timeoutOption())
      .action((vmId: string, container: string, flags: { timeout: number }, self: Command) =>
        perform(act, self, vmId, toWork(container, { ...flags }), flags.timeout, () =>
          name === 'logs' ? '' : container,
        ),
      );
    return withExamples(command, [`migctl docker ${name} demo-vm-1 cache`]);
  };
  onContainer('start', 'start a container that was stopped', (container) => ({ start: { container } }));
  onContainer('stop', 'stop a container', (container) => ({ stop: { container, timeout: 0 } }));
  onContainer('logs', 'print what a container has written', (container, flags) => ({
    logs: {
      container,
      follow: flags['follow'] === true,
      tail: (flags['tail'] as number | undefined) ?? 0,
      timestamps: flags['timestamps'] === true,
    },
  }))
    .option('-f, --follow', 'go on as it writes, until Ctrl-C')
    .addOption(new Option('--tail <lines>', 'only so many lines from the end').argParser(numberArgument))
    .option('--timestamps', 'with the time of each line');
  onContainer('rm', 'remove a container', (container, flags) => ({
    remove: { container, force: flags['force'] === true, volumes: flags['volumes'] === true },
  }))
    .option('-f, --force', 'also if it runs')
    .option('--volumes', 'its anonymous volumes too');

  const pull = docker
    .command('pull')
    .description('pull an image, with its progress')
    .argument('<vm>', 'name of the VM')
    .argument('<image>', 'image')
    .addOption(timeoutOption())
    .action((vmId: string, image: string, flags: { timeout: number }, command: Command) =>
      perform(act, command, vmId, { pull: { image } }, flags.timeout, () => image),
    );
  withExamples(pull, ['migctl docker pull demo-vm-1 alpine:3']);

  const ls = docker
    .command('ls')
    .alias('ps')
    .description('list the containers of a VM')
    .argument('<vm>', 'name of the VM')
    .option('-a, --all', 'those that do not run, too')
    .addOption(timeoutOption())
    .addOption(formatOption())
    .addOption(noHeadersOption())
    .action((vmId: string, flags: ListOptions & { all?: true; timeout: number }, command: Command) =>
      act(command, async (session) => {
        const { listContainers } = await import('../tasks/docker.js');
        return listContainers(session, vmId, flags.all === true, flags.timeout, flags);
      }),
    );
  withExamples(ls, ['migctl docker ls demo-vm-1 --all']);
}

const perform = (
  act: Act,
  command: Command,
  vmId: string,
  work: DockerWorkResource,
  timeoutMs: number,
  done: (task: TaskResource) => string,
): Promise<void> =>
  act(command, async (session) => {
    const { runOperation } = await import('../tasks/docker.js');
    return runOperation(session, vmId, work, { timeoutMs, done });
  });
