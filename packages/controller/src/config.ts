/** The controller's configuration: every key with its default and bounds. config/controller.yaml is its annotated sample. */
import * as z from 'zod';
import { duration, id, integer, port } from '@mig/common/config/fields';
import { LOG_LEVELS } from '@mig/common/domain/log-level';

const section = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape).prefault({} as never);

const DAY = '7d';

export const controllerConfigSchema = z
  .strictObject({
    data_dir: z.string().min(1).default('controller_data').describe('folder of everything that is stored'),
    log: section({
      level: z.enum(LOG_LEVELS).default('info').describe('verbosity of the log'),
    }),
    http: section({
      host: z.string().min(1).default('127.0.0.1').describe('address that HTTP listens on'),
      port: port(8080).describe('port of HTTP; 0 = any free one'),
    }),
    grpc: section({
      host: z.string().min(1).default('127.0.0.1').describe('address that gRPC listens on'),
      port: port(50051).describe('port of gRPC; 0 = any free one'),
      advertised_endpoint: z
        .string()
        .default('')
        .describe('HOST:PORT that MIGlets are told to connect to; empty = they use their own grpc_endpoint'),
      tls: section({
        enabled: z
          .literal(
            false,
            'TLS is not available yet: put a proxy that ends TLS before the controller, and leave this false',
          )
          .default(false)
          .describe('TLS on the gRPC port'),
      }),
    }),
    github: section({
      auth: z.enum(['none', 'token']).default('none').describe('how the controller signs in at GitHub'),
      api_url: z
        .url('expected a URL')
        .default('https://api.github.com')
        .describe('REST API; https://HOST/api/v3 for an Enterprise Server'),
      web_url: z.string().default('').describe('where runners connect to; empty = from api_url'),
      token_file: z.string().default('').describe('file with a token that has admin:org; read when used'),
      org: z
        .union([id(), z.literal('')])
        .default('')
        .describe('organization of VMs that name none'),
    }),
    pools: z
      .record(
        id(),
        z.strictObject({
          labels: z.array(z.string().min(1)).default([]),
          runner_group: z.string().default(''),
        }),
      )
      .default({})
      .describe('labels and runner group of each pool, by pool_id'),
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
      vms: duration(DAY, 60_000, 31_536_000_000).describe('a VM that is gone is forgotten after this'),
    }),
    limits: section({
      open_commands_per_vm: integer(1_000, 1, 100_000).describe(
        'unfinished commands of one VM; more are refused',
      ),
      body_bytes: integer(1_048_576, 1_024, 16_777_216).describe('largest HTTP body'),
    }),
    shutdown: section({
      deadline: duration('10s', 0, 600_000).describe('how long an orderly end may take'),
      reconnect_per_second: integer(500, 1, 100_000).describe(
        'MIGlets that come back at a time after a restart, at most',
      ),
    }),
  })
  .superRefine((config, context) => {
    if (config.github.auth === 'token' && config.github.token_file === '') {
      context.addIssue({
        code: 'custom',
        path: ['github', 'token_file'],
        message: 'expected the path of a file, because github.auth is token',
      });
    }
  });

export type ControllerConfig = z.infer<typeof controllerConfigSchema>;
