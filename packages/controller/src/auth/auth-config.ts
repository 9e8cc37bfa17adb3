/** The part of the controller's configuration that says who gets in. */
import { isIP } from 'node:net';
import * as z from 'zod';
import { ROLES } from '@mig/common/domain/roles';
import { duration, integer } from '@mig/common/config/fields';

const section = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape).prefault({} as never);
const texts = () => z.array(z.string().min(1)).default([]);

const joinShape = {
  methods: z
    .array(z.enum(['token', 'gce', 'aws', 'mtls']))
    .default(['token'])
    .describe('how a VM may prove that it belongs to a pool'),
  token_file: z
    .string()
    .default('')
    .describe('file with a join token, beside those of migctl token create; read when used; empty = none'),
  gce: section({
    audience: z.string().default('').describe('that the identity tokens are made for'),
    projects: texts().describe('project ids; at least one is needed'),
    zones: texts().describe('empty = any'),
    service_accounts: texts().describe('e-mail addresses; empty = any'),
    vm_id: z
      .enum(['instance_name', 'instance_id'])
      .default('instance_name')
      .describe('what of the instance the vm_id has to be'),
  }),
  aws: section({
    accounts: texts().describe('account ids; at least one is needed'),
    certificates: z
      .record(z.string(), z.string().min(1))
      .default({})
      .describe("by region, the file with AWS's certificate (RSA) for its identity documents"),
  }),
};

/** What a VM of a pool needs to join. */
const poolJoinSchema = section(joinShape);
export type PoolJoin = z.infer<typeof poolJoinSchema>;

/** Keys of each pool. */
export const poolAuthShape = {
  join: z.strictObject(joinShape).optional().describe('as auth.join, for this pool alone'),
  allow_unauthenticated: z
    .boolean('expected true or false')
    .default(false)
    .describe('VMs of this pool need no credential: anybody who reaches the port may speak for them'),
};

export const authSection = section({
  required: z
    .union([z.boolean(), z.literal('auto')], 'expected true, false or auto')
    .default('auto')
    .describe('whether operators and VMs need a credential; auto = yes, unless insecure is true'),
  join: poolJoinSchema.describe('how VMs join, in pools that say nothing else'),
  google_keys_url: z
    .url('expected a URL')
    .default('https://www.googleapis.com/oauth2/v3/certs')
    .describe("where Google's public keys are"),
  oidc: section({
    issuer: z
      .union([z.url('expected a URL'), z.literal('')])
      .default('')
      .describe('identity provider of people and CI, as its tokens name it; empty = none'),
    audience: z.string().default('').describe('that its tokens are made for'),
    name_claim: z.string().min(1).default('email').describe('claim that is the name, in the audit log'),
    role_claim: z
      .string()
      .min(1)
      .default('groups')
      .describe('claim whose value, or one of whose values, says the role'),
    roles: z
      .record(z.string(), z.enum(ROLES))
      .default({})
      .describe('value of the claim -> viewer, operator or admin, in every pool'),
  }),
  lockout: section({
    failures_per_minute: integer(30, 1, 100_000).describe(
      'failed joins from one address after which further ones get 429 for lockout.time; a good one is taken',
    ),
    time: duration('1m', 1_000, 86_400_000).describe('how long'),
  }),
  session: section({
    lifetime: duration('1h', 1_000, 86_400_000).describe(
      "how long a VM's session token is taken; a connected VM gets the next one when half of it is over",
    ),
    bind_address: z
      .boolean('expected true or false')
      .default(true)
      .describe('a session token is taken only from the address that the VM joined from'),
  }),
});
export type AuthConfig = z.infer<typeof authSection>;

export const insecureField = z
  .boolean('expected true or false')
  .default(false)
  .describe(
    'true: may listen beyond loopback without TLS or without credentials, and asks for no credential; warned of at every start',
  );

export const attemptsOf = ({ lockout }: AuthConfig): { perMinute: number; lockoutMs: number } => ({
  perMinute: lockout.failures_per_minute,
  lockoutMs: lockout.time,
});

/** Whether a credential is needed, by what is configured. */
export const requiresAuth = (config: { readonly insecure: boolean; readonly auth: AuthConfig }): boolean =>
  config.auth.required === 'auto' ? !config.insecure : config.auth.required;

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));

const paths = (what: string) => z.string().default('').describe(what);

/** One certificate for both ports. */
export const tlsSection = section({
  cert_file: paths('certificate, with those between it and its authority (PEM); empty = no TLS'),
  key_file: paths('its private key (PEM)'),
  client_ca_file: paths('certificates of the authorities that those of clients may be of (PEM)'),
  client_certificates: z
    .enum(['none', 'optional', 'required'])
    .default('none')
    .describe('whether clients show a certificate: not asked for, those that have one, all'),
  reload: duration('10s', 100, 3_600_000).describe(
    'the files are looked at this often; what changed is used at once',
  ),
});

/** TLS on one port. */
export const portTls = () =>
  section({
    enabled: z
      .union([z.boolean(), z.literal('auto')], 'expected true, false or auto')
      .default('auto')
      .describe('auto = if tls.cert_file is set'),
  });

interface Exposed {
  readonly tls: z.infer<typeof tlsSection>;
  readonly insecure: boolean;
  readonly auth: AuthConfig;
  readonly http: { readonly host: string; readonly tls: { readonly enabled: boolean | 'auto' } };
  readonly grpc: { readonly host: string; readonly tls: { readonly enabled: boolean | 'auto' } };
}

export const hasTls = (
  { tls, ...config }: Pick<Exposed, 'tls' | 'http' | 'grpc'>,
  port: 'http' | 'grpc',
): boolean => {
  const { enabled } = config[port].tls;
  return enabled === 'auto' ? tls.cert_file !== '' : enabled;
};

/** What is not secure about a configuration, for `/readyz` and the log; empty = nothing. */
export function exposures(config: Exposed): string[] {
  const found: string[] = [];
  const isAuthenticated = requiresAuth(config);
  for (const port of ['http', 'grpc'] as const) {
    const { host } = config[port];
    if (isLoopback(host)) continue;
    if (!hasTls(config, port))
      found.push(`${port} listens on ${host} without TLS: who is on the way can read and change all`);
    if (!isAuthenticated) found.push(`${port} listens on ${host} and asks for no credential`);
  }
  if (!isAuthenticated)
    found.push('insecure: no credential is needed; whoever reaches the ports can do everything');
  return found;
}

/** A configuration that opens the controller to others says so in words. */
export function assertNotExposed(config: Exposed, context: z.core.$RefinementCtx): void {
  const { tls } = config;
  const { oidc } = config.auth;
  const expect = (holds: boolean, path: string[], message: string): void => {
    if (!holds) context.addIssue({ code: 'custom', path, message });
  };
  const isUsed = hasTls(config, 'http') || hasTls(config, 'grpc');
  expect(
    !isUsed || tls.cert_file !== '',
    ['tls', 'cert_file'],
    'expected the path of a file, because TLS is on',
  );
  expect(
    !isUsed || tls.key_file !== '',
    ['tls', 'key_file'],
    'expected the path of a file, because TLS is on',
  );
  expect(
    tls.client_certificates === 'none' || tls.client_ca_file !== '',
    ['tls', 'client_ca_file'],
    'expected the path of a file, because tls.client_certificates is not none',
  );
  expect(
    oidc.issuer === '' || oidc.audience !== '',
    ['auth', 'oidc', 'audience'],
    'expected the audience of the tokens, because auth.oidc.issuer is set: a token for another program would be taken',
  );
  if (config.insecure) return;
  if (config.auth.required === false)
    context.addIssue({
      code: 'custom',
      path: ['auth', 'required'],
      message: 'expected true or auto: a controller that asks for no credential needs insecure: true',
    });
  for (const port of ['http', 'grpc'] as const) {
    if (isLoopback(config[port].host) || hasTls(config, port)) continue;
    context.addIssue({
      code: 'custom',
      path: [port, 'host'],
      message: 'expected a loopback address: listening beyond it needs tls.cert_file, or insecure: true',
    });
  }
}

/** What each VM and each operator may take of the controller. */
export const limitsShape = {
  vm_messages_per_second: integer(200, 1, 1_000_000).describe(
    'messages that a VM may send, on its stream and over HTTP together; a stream is read no faster than at 1.25 times that',
  ),
  vm_message_burst: integer(20_000, 1, 10_000_000).describe(
    '… and so many more, what it could not tell while it was away; more than that end the stream, or get 429, and the VM is refused for a while',
  ),
  vm_heartbeats_per_second: integer(20, 1, 1_000_000).describe(
    'heartbeats among them; twice as many at once; more end the stream, or get 429, and the VM is refused for a while',
  ),
  vm_bytes_per_second: integer(2_097_152, 1_024, 1_073_741_824).describe(
    'bytes of these messages; 32 times as many at once',
  ),
  vm_connects_per_minute: integer(60, 1, 100_000).describe('streams that a VM may open'),
  operator_requests_per_second: integer(2_000, 1, 1_000_000).describe(
    'requests of one operator; twice as many at once; more get 429',
  ),
  strangers_per_second: integer(100, 1, 1_000_000).describe(
    'connections and calls of one address without a valid credential; one that is let in does not count; more connections wait, more calls get 429',
  ),
  stranger_connections: integer(2_000, 1, 1_000_000).describe(
    'connections of one address on which nobody has shown a valid credential; more wait; where there are many, they are closed after 20 s',
  ),
  vms_per_pool: integer(10_000, 1, 1_000_000).describe('VMs of a pool that are there; more cannot join'),
};
