/** A task of a job as work for the executors. */
import type { TaskWork } from '@mig/common/domain/task';
import type { OfferedTask } from '@mig/common/domain/node-messages';
import { parseList } from '@mig/common/api/listed-text';

/** Undefined for a driver that this version does not know. */
export function toWork({ driver, config, env }: OfferedTask): TaskWork | undefined {
  const options = config?.options ?? {};
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const { command = '' } = options;
  if (driver === 'exec')
    return { kind: 'shell', cmd: command, env: variables, workingDir: options['working_dir'] ?? '' };
  if (driver !== 'docker') return undefined;
  return {
    kind: 'docker',
    operation: {
      kind: 'run',
      image: config?.image ?? '',
      name: '',
      // One text is a script, as for `exec`; a list is passed on as it is.
      command: parseList(command) ?? (command === '' ? [] : ['sh', '-c', command]),
      env: variables,
      volumes: parseList(options['volumes'] ?? '') ?? [],
      ports: [],
      workdir: options['workdir'] ?? '',
      user: options['user'] ?? '',
      network: options['network'] ?? '',
      labels: {},
      detach: false,
      rm: true,
      pull: false,
      memory: 0,
      cpus: 0,
    },
  };
}
