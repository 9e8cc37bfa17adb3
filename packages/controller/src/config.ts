/** The controller's configuration: every key with its default and bounds. config/controller.yaml is its annotated sample. */
import * as z from 'zod';
import { duration, id, integer, port } from '@mig/common/config/fields';
import {
  assertNotExposed,
  authSection,
  insecureField,
  limitsShape,
  poolAuthShape,
  portTls,
  tlsSection,
} from './auth/auth-config.js';
import { LOG_LEVELS } from '@mig/common/domain/log-level';
import { jobsSettings } from './jobs/settings.js';
import { tasksSettings } from './tasks/settings.js';

const section = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape).prefault({} as never);

const DAY = '7d';

export const controllerConfigSchema = z
  .strictObject({
    data_dir: z.string().min(1).default('controller_data').describe('folder of everything that is stored'),
    log: section({
      level: z.enum(LOG_LEVELS).default('info').describe('verbosity of the log'),
    }),
    insecure: insecureField,
    auth: authSection.describe('who gets in'),
    tls: tlsSection.describe('certificate of both ports'),
    http: section({
      host: z.string().min(1).default('127.0.0.1').describe('address that HTTP listens on'),
      port: port(8080).describe('port of HTTP; 0 = any free one'),
      tls: portTls(),
    }),
    grpc: section({
      host: z.string().min(1).default('127.0.0.1').describe('address that gRPC listens on'),
      port: port(50051).describe('port of gRPC; 0 = any free one'),
      advertised_endpoint: z
        .string()
        .default('')
        .describe('HOST:PORT that MIGlets are told to connect to; empty = they use their own grpc_endpoint'),
      tls: portTls(),
    }),
    github: section({
      auth: z
        .enum(['none', 'token', 'app'])
        .default('none')
        .describe('how the controller signs in at GitHub: not at all, with a token, as a GitHub App'),
      api_url: z
        .url('expected a URL')
        .default('https://api.github.com')
        .describe('REST API; https://HOST/api/v3 for an Enterprise Server'),
      web_url: z.string().default('').describe('where runners connect to; empty = from api_url'),
      org: z
        .union([id(), z.literal('')])
        .default('')
        .describe('organization of VMs that name none'),
      token_file: z.string().default('').describe('file with a token that has admin:org; read when used'),
      app_id: z
        .union([
          z.int().positive().transform(String),
          z.string().regex(/^[A-Za-z0-9.]*$/, 'expected an app id or a client id'),
        ])
        .default('')
        .describe('App id or client id of the GitHub App'),
      private_key_file: z
        .string()
        .default('')
        .describe('private key of the App, as GitHub hands it out (PEM); read when used'),
      installation_id: integer(0, 0, Number.MAX_SAFE_INTEGER).describe(
        'installation of the App; 0 = looked up for each organization or repository',
      ),
      registration: z
        .enum(['jit', 'token'])
        .default('jit')
        .describe(
          'jit: one runner for one job, no credential on the VM; token: config.sh with a registration token',
        ),
      runner_prefix: z
        .string()
        .regex(/^[a-z][a-z0-9]{0,9}$/, 'expected 1 to 10 of a-z 0-9, beginning with a letter')
        .default('mig')
        .describe("begins the name of every runner, before the controller's id"),
      writes_per_second: integer(3, 1, 50).describe(
        'requests that change something, for each installation, at most; GitHub takes 180 in a minute of one kind',
      ),
      request_timeout: duration('10s', 1_000, 120_000).describe(
        'GitHub is given up on after this, and asked again later',
      ),
      rate_reserve: section({
        deletion: integer(5, 0, 90).describe('percent of the hourly limit that is left to registrations'),
        reconciliation: integer(15, 0, 90).describe('… to registrations and deletions'),
        listing: integer(30, 0, 90).describe('… to all that matters more than listings'),
      }),
      webhook: section({
        secret_file: z
          .string()
          .default('')
          .describe('file with the secret of the webhook; read when used; empty = webhooks are refused'),
        previous_secret_file: z
          .string()
          .default('')
          .describe('file with the secret before it, which is taken as well; empty = none'),
        redelivery: z
          .boolean('expected true or false')
          .default(true)
          .describe('look for lost deliveries, and have them sent again'),
        hook_id: integer(0, 0, Number.MAX_SAFE_INTEGER).describe(
          "the organization's webhook, where auth is token: lost deliveries are looked for there; 0 = they are not",
        ),
      }),
      reconciliation: section({
        interval: duration('1m', 1_000, 3_600_000).describe(
          "how often GitHub's runners, the VMs and their words are compared",
        ),
        grace: duration('5m', 0, 86_400_000).describe(
          'what looks wrong is acted upon when it has been so for this long',
        ),
      }),
    }),
    controller_id: z
      .union([z.string().regex(/^[a-z0-9]{4,8}$/, 'expected 4 to 8 of a-z 0-9'), z.literal('')])
      .default('')
      .describe(
        'part of the name of every runner, by which they are known as ours; empty = made at the first start and kept in data_dir',
      ),
    pools: z
      .record(
        id(),
        z
          .strictObject({
            labels: z.array(z.string().min(1)).default([]),
            runner_group: z.string().default(''),
            repository: z
              .union([
                z.string().regex(/^[A-Za-z0-9-]+\/[A-Za-z0-9._-]+$/, 'expected OWNER/REPOSITORY'),
                z.literal(''),
              ])
              .default(''),
            enterprise: z
              .union([
                z.string().regex(/^[A-Za-z0-9-]+$/, 'expected the slug of an enterprise'),
                z.literal(''),
              ])
              .default(''),
            ...poolAuthShape,
          })
          .refine(({ repository, runner_group }) => repository === '' || runner_group === '', {
            message: 'expected no runner_group beside repository: a repository has none',
          })
          .refine(({ repository, enterprise }) => repository === '' || enterprise === '', {
            message: 'expected either repository or enterprise: a runner is registered in one place',
          }),
      )
      .default({})
      .describe(
        'labels, runner group and place of registration of each pool, by pool_id; place: the organization, if none is named',
      ),
    heartbeat: section({
      interval: duration('15s', 1_000, 3_600_000).describe('how often MIGlets are expected to report'),
      lost_after: duration('90s', 3_000, 86_400_000).describe(
        'a VM that is silent for this long is lost; longer for one whose interval is longer than the configured one',
      ),
      max_per_second: integer(1_000, 1, 1_000_000).describe(
        'heartbeats that the controller takes; with more VMs each is asked for a longer interval',
      ),
    }),
    retention: section({
      age: duration(DAY, 60_000, 31_536_000_000).describe(
        'events, heartbeats and finished commands are kept this long',
      ),
      events: integer(10_000, 1, 1_000_000).describe('events kept per VM'),
      heartbeats: integer(100, 1, 100_000).describe('heartbeats kept per VM'),
      finished_commands: integer(20_000, 100, 1_000_000).describe('finished commands kept in all'),
      workflow_jobs: integer(20_000, 100, 1_000_000).describe('finished workflow jobs kept in all'),
      vms: duration(DAY, 60_000, 31_536_000_000).describe('a VM that is gone is forgotten after this'),
    }),
    limits: section({
      ...limitsShape,
      open_commands_per_vm: integer(1_000, 1, 100_000).describe(
        'unfinished commands of one VM; more are refused',
      ),
      body_bytes: integer(1_048_576, 1_024, 16_777_216).describe('largest HTTP body'),
    }),
    tasks: tasksSettings,
    jobs: jobsSettings,
    shutdown: section({
      deadline: duration('10s', 0, 600_000).describe('how long an orderly end may take'),
      reconnect_per_second: integer(500, 1, 100_000).describe(
        'MIGlets that come back at a time after a restart, at most',
      ),
    }),
  })
  .superRefine(assertNotExposed)
  .superRefine(({ github, pools }, context) => {
    const expect = (holds: boolean, path: string[], message: string): void => {
      if (!holds) context.addIssue({ code: 'custom', path, message });
    };
    const token = github.auth === 'token';
    const app = github.auth === 'app';
    expect(
      !token || github.token_file !== '',
      ['github', 'token_file'],
      'expected the path of a file, because github.auth is token',
    );
    expect(
      !app || github.app_id !== '',
      ['github', 'app_id'],
      'expected the id of the App, because github.auth is app',
    );
    expect(
      !app || github.private_key_file !== '',
      ['github', 'private_key_file'],
      'expected the path of a file, because github.auth is app',
    );
    for (const [poolId, pool] of Object.entries(pools)) {
      expect(
        !app || pool.enterprise === '',
        ['pools', poolId, 'enterprise'],
        "an App cannot register an enterprise's runners: github.auth has to be token, with manage_runners:enterprise",
      );
    }
  });

export type ControllerConfig = z.infer<typeof controllerConfigSchema>;
