/** The settings `tasks.*` of the MIGlet. */
import * as z from 'zod';
import { duration, integer } from '@mig/common/config/fields';

const flag = () => z.boolean('expected true or false').default(false);

export const tasksSettings = z
  .strictObject({
    enabled: flag().describe('take tasks (shell commands, Docker operations) from the controller'),
    working_dir: z
      .string()
      .default('')
      .describe('folder of a command that names none; empty = the temporary folder'),
    docker_socket: z.string().min(1).default('/var/run/docker.sock').describe('socket of the Docker engine'),
    max_parallel: integer(16, 1, 1_000).describe('tasks at a time; one more is refused'),
    grace: duration('10s', 0, 3_600_000).describe('from SIGTERM to SIGKILL'),
    allow_commands: z
      .array(z.string().min(1))
      .default([])
      .describe('commands that may be run; * = any text without shell syntax'),
    allow_images: z
      .array(z.string().min(1))
      .default([])
      .describe('images that may be run and pulled; * = any text'),
  })
  .prefault({} as never);
