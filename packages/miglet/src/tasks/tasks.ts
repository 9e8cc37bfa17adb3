/** Tasks on this VM: the executors, the desk that runs them, and the stream to the controller. */
import os from 'node:os';
import path from 'node:path';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { MigletConfig } from '../config.js';
import type { ControllerAccess } from '../controller-link/access.js';
import { createEngine } from './docker/engine.js';
import { runDocker } from './docker/operations.js';
import { taskEnvironment } from './environment.js';
import { orphansOf, signalAll } from './processes.js';
import { createResponseQueue } from './response-queue.js';
import { runShell } from './shell.js';
import { createTaskDesk, type RunWork } from './task-desk.js';
import { openTaskLink } from './task-link.js';

/** What the MIGlet gives to its tasks. */
export interface TasksContext {
  readonly access: ControllerAccess;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

export interface TasksDeps extends TasksContext {
  readonly config: MigletConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Tasks {
  /** Ends all tasks and the stream. */
  stop(reason: string): Promise<void>;
}

export interface Executors {
  readonly run: RunWork;
  close(): Promise<void>;
}

/** What runs the work of tasks and of jobs. The state folder marks the processes; the runner's folder is closed to them. */
export function createExecutors(
  { tasks: config, state_dir, runner }: Pick<MigletConfig, 'tasks' | 'state_dir' | 'runner'>,
  env: Readonly<Record<string, string | undefined>>,
): Executors {
  const engine = createEngine(config.docker_socket);
  const environment = taskEnvironment(env, path.resolve(state_dir));
  const workingDir = path.resolve(config.working_dir || os.tmpdir());
  const closedDir = path.resolve(runner.dir);
  return {
    run(request, { graceMs, output, signal }) {
      const { taskId, work, rawOutput } = request;
      return work.kind === 'shell'
        ? runShell(work, {
            taskId,
            env: environment,
            workingDir,
            closedDir,
            graceMs,
            rawOutput,
            output,
            signal,
          })
        : runDocker(work.operation, { engine, graceMs, rawOutput, output, signal });
    },
    close: () => engine.close(),
  };
}

/** A MIGlet that was killed could not end its tasks and jobs; nobody waits for them. @param owner the state folder */
export function endOrphans(owner: string, logger: Logger): void {
  const orphans = orphansOf(owner);
  if (orphans.length === 0) return;
  logger.warn(
    { event: 'tasks_orphaned', count: orphans.length },
    'processes of tasks of a MIGlet that was killed are ended',
  );
  signalAll(orphans, 'SIGKILL');
}

/** Begins at once: tasks run beside whatever the VM does. */
export function startTasks({ config, access, env, clock, logger, random }: TasksDeps): Tasks {
  const owner = path.resolve(config.state_dir);
  endOrphans(owner, logger);
  const executors = createExecutors(config, env);
  const queue = createResponseQueue();
  const desk = createTaskDesk(
    { queue, run: executors.run, clock, logger },
    {
      agentId: config.vm_id,
      graceMs: config.tasks.grace,
      maxTasks: config.tasks.max_parallel,
      allow: { commands: config.tasks.allow_commands, images: config.tasks.allow_images },
    },
  );
  const link = openTaskLink(
    {
      queue,
      onRequest: desk.take,
      onUp: desk.connected,
      onDown: desk.disconnected,
      clock,
      logger,
      random,
    },
    {
      agentId: config.vm_id,
      access,
      keepaliveMs: config.controller.keepalive,
      keepaliveTimeoutMs: config.controller.keepalive_timeout,
      reconnect: {
        firstMs: config.controller.reconnect_first,
        maxMs: config.controller.reconnect_max,
        minimumUptimeMs: config.controller.minimum_uptime,
      },
    },
  );
  return {
    async stop(reason) {
      await desk.stop(reason);
      await link.close();
      await executors.close();
    },
  };
}
