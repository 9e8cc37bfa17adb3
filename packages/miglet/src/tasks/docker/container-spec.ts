/** The container that a `docker run` asks for, as the Engine API takes it (`ContainerCreate`). */
import type { DockerOperation } from '@mig/common/domain/task';

type Run = Extract<DockerOperation, { kind: 'run' }>;

/** The label that names the containers of tasks. */
const LABEL = 'mig.task';

export function createSpec(run: Run): Record<string, unknown> {
  const ports = run.ports.map(parsePort);
  return {
    Image: run.image,
    ...(run.command.length === 0 ? {} : { Cmd: run.command }),
    Env: run.env,
    Labels: { ...run.labels, [LABEL]: 'true' },
    ...(run.workdir === '' ? {} : { WorkingDir: run.workdir }),
    ...(run.user === '' ? {} : { User: run.user }),
    // Its output comes with its streams told apart.
    Tty: false,
    ExposedPorts: Object.fromEntries(ports.map(({ container }) => [container, {}])),
    HostConfig: {
      Binds: run.volumes,
      PortBindings: Object.fromEntries(ports.map(({ container, host }) => [container, [{ HostPort: host }]])),
      ...(run.network === '' ? {} : { NetworkMode: run.network }),
      Memory: run.memory,
      NanoCpus: Math.round(run.cpus * 1e9),
    },
  };
}

/** `8080:80/udp`, `80` (any free port of the host). */
function parsePort(text: string): { readonly container: string; readonly host: string } {
  const [ports = '', protocol = 'tcp'] = text.split('/');
  const [first = '', second] = ports.split(':');
  return second === undefined
    ? { container: `${first}/${protocol}`, host: '' }
    : { container: `${second}/${protocol}`, host: first };
}
