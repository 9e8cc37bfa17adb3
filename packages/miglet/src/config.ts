/** The MIGlet's configuration: every key with its default and bounds. config/miglet.yaml is its annotated sample. */
import * as z from 'zod';
import { duration, id, integer } from '@mig/common/config/fields';
import { LOG_LEVELS } from '@mig/common/domain/log-level';
import { jobsSettings } from './jobs/settings.js';
import { tasksSettings } from './tasks/settings.js';

const section = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape).prefault({} as never);

const MAX_MS = 30 * 86_400_000;
/** A stream that breaks now and then must not take its VM out of service. */
const MIN_FENCE_MS = 30_000;

/** @param defaultVmId the host's name */
export const migletConfigSchema = (defaultVmId: string) =>
  z.strictObject({
    vm_id: id().default(defaultVmId).describe('name of this VM, unique in the fleet; default: the host name'),
    pool_id: id().default('default').describe('pool (managed instance group) of this VM'),
    org_id: z
      .union([id(), z.literal('')])
      .default('')
      .describe("GitHub organization; empty = the controller's default"),
    state_dir: z
      .string()
      .min(1)
      .default('miglet_data')
      .describe('folder of what must survive a restart of the MIGlet'),
    log: section({
      level: z.enum(LOG_LEVELS).default('info').describe('verbosity of the log'),
    }),
    controller: section({
      endpoint: z.url('expected a URL').default('http://127.0.0.1:8080').describe('HTTP of the controller'),
      grpc_endpoint: z
        .string()
        .regex(/^$|^[^\s/]+:\d+$/, 'expected HOST:PORT')
        .default('')
        .describe(
          'gRPC of the controller, HOST:PORT; empty = as the controller says, or port 50051 of the HTTP host',
        ),
      tls: section({
        ca_file: z
          .string()
          .default('')
          .describe("authority of the controller's certificate (PEM); empty = those of Node"),
        cert_file: z.string().default('').describe('client certificate of this VM (PEM); empty = none'),
        key_file: z.string().default('').describe('its key (PEM)'),
      }),
      join: section({
        method: z
          .enum(['auto', 'none', 'token', 'gce', 'aws', 'mtls'])
          .default('auto')
          .describe(
            'how this VM proves that it belongs to its pool; auto = token if token_file is set, else none',
          ),
        token_file: z
          .string()
          .default('')
          .describe('file with the join token of the pool, or the one-time token of aws; read when it joins'),
        audience: z
          .string()
          .default('')
          .describe("of the identity token that Google's metadata server is asked for, as the pool says"),
        metadata_url: z
          .string()
          .regex(/^$|^http:\/\//, 'expected an http:// URL')
          .default('')
          .describe("where the cloud's metadata server is; empty = its own address"),
      }),
      reconnect_first: duration('5s', 100, 600_000).describe(
        'bound of the first wait before connecting again',
      ),
      reconnect_max: duration('30s', 100, 600_000).describe('bound of every such wait'),
      minimum_uptime: duration('10s', 0, 600_000).describe('a stream that lived this long resets the waits'),
      keepalive: duration('30s', 1_000, 3_600_000).describe('a silent stream is probed this often'),
      keepalive_timeout: duration('10s', 100, 600_000).describe(
        'a probe that is not answered in this time ends the stream',
      ),
      fence_after: duration('0s', 0, 7 * 86_400_000)
        .refine((ms) => ms === 0 || ms >= MIN_FENCE_MS, 'expected 0s, or a duration from 30s to 7d')
        .describe('a VM that may take jobs and has had no stream for this long drains itself; 0s = never'),
    }),
    heartbeat: section({
      interval: duration('15s', 1_000, 3_600_000).describe('time between two heartbeats'),
    }),
    journal: section({
      max_events: integer(10_000, 100, 1_000_000).describe(
        'most events that wait for the controller; beyond it the oldest go, but none about a job',
      ),
      max_bytes: integer(16 * 2 ** 20, 64 * 2 ** 10, 2 ** 30).describe('most bytes of these events'),
      max_age: duration('7d', 60_000, MAX_MS).describe('an event that waited this long goes'),
    }),
    drain: section({
      deadline: duration('0s', 0, MAX_MS).describe(
        'a drain that names none ends its job after this; 0s = never',
      ),
    }),
    runner: section({
      dir: z.string().min(1).default('actions-runner').describe('folder of the GitHub runner'),
      labels: z.array(z.string().min(1)).default([]).describe('labels beside those of the pool'),
      ephemeral: z.boolean('expected true or false').default(false).describe('one job per registration'),
      disable_update: z
        .boolean('expected true or false')
        .default(false)
        .describe('the runner does not update itself'),
      allow_root: z.boolean('expected true or false').default(false).describe('let the runner run as root'),
      work_folder: z.string().min(1).default('_work').describe('work folder, in runner.dir'),
      env: z
        .record(z.string(), z.string())
        .default({})
        .describe('environment of the runner, beside what it needs'),
      configure_timeout: duration('2m', 1_000, 3_600_000).describe('config.sh is ended after this'),
      start_timeout: duration('2m', 1_000, 3_600_000).describe(
        'a runner that does not listen in this time has failed',
      ),
      stop_grace: duration('30s', 0, 3_600_000).describe(
        'a runner that was told to end is killed after this',
      ),
      deregister_patience: duration('15m', 0, 86_400_000).describe(
        'a VM that leaves service, and whose runner has ended, asks this long to have its registration deleted',
      ),
      install: z
        .boolean('expected true or false')
        .default(true)
        .describe('download the runner if runner.dir has none; one that is there is used as it is'),
      version: z
        .string()
        .regex(/^$|^\d+\.\d+\.\d+$/, 'expected a version such as 2.336.0')
        .default('')
        .describe('version to install; empty = what GitHub offers, by the word of the controller'),
      download_url: z
        .string()
        .regex(/^$|^https:\/\//, 'expected an https:// URL')
        .default('')
        .describe('where to get runner.version; empty = as GitHub offers it'),
      sha256: z
        .string()
        .regex(/^$|^[0-9a-f]{64}$/, 'expected 64 hexadecimal digits')
        .default('')
        .describe('SHA-256 of what is downloaded; empty = as GitHub says'),
      install_timeout: duration('15m', 1_000, 3_600_000).describe('an installation is given up after this'),
      user: z
        .string()
        .regex(/^$|^[a-z_][a-z0-9_-]{0,31}$/, 'expected the name of a user of this VM')
        .default('')
        .describe('user that the runner and its jobs run as; empty = that of the MIGlet'),
      acknowledge_timeout: duration('90s', 1_000, 3_600_000).describe(
        'a runner that took a job and does not begin it in this time hangs',
      ),
      worker_timeout: duration('10m', 1_000, 86_400_000).describe(
        'a job whose steps are done and that does not end in this time hangs',
      ),
      update_timeout: duration('10m', 1_000, 3_600_000).describe(
        'a runner that updates itself and does not come back in this time has failed',
      ),
      diag_bytes: integer(32_768, 0, 131_072).describe(
        "how much of the end of each of the runner's own logs is sent when it fails, or the VM ends; 0 = nothing",
      ),
    }),
    tasks: tasksSettings,
    jobs: jobsSettings,
    registration: section({
      max_failures: integer(5, 1, 1_000).describe('failures in a row after which the VM is given up'),
      retry_first: duration('5s', 100, 3_600_000).describe('bound of the first wait before trying again'),
      retry_max: duration('2m', 100, 3_600_000).describe('bound of every such wait'),
    }),
  });

export type MigletConfig = z.infer<ReturnType<typeof migletConfigSchema>>;
