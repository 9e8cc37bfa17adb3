/** Tokens and who one is, as JSON on the operator API. A token itself is told once, when it is made, and never again. */
import * as z from 'zod';
import { EVERY_POOL, MAX_TOKEN_LIFE_MS, ROLES } from '../domain/roles.js';
import { timeSchema } from './time.js';
import { idSchema } from './vm-resource.js';

const poolKey = z.union([idSchema, z.literal(EVERY_POOL)]);

export const grantsSchema = z
  .record(poolKey, z.enum(ROLES))
  .refine((grants) => Object.keys(grants).length >= 1, 'name at least one pool, or * for all')
  .refine((grants) => Object.keys(grants).length <= 100, 'at most 100 pools')
  .describe('role by pool_id; * = every pool');

const lifeSchema = z
  .int()
  .min(1_000)
  .max(MAX_TOKEN_LIFE_MS)
  .describe('from now until it is taken no more, milliseconds; at most 366 days');

/** Printable, so that it is harmless wherever it is shown. */
const nameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._@ -]{0,62}$/, 'expected 1 to 63 of a-z A-Z 0-9 . _ @ - and space')
  .describe('whose it is, or what for; stands in the audit log');

/** Body of `POST /api/v1/tokens`. */
export const createTokenSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('operator'),
    name: nameSchema,
    roles: grantsSchema,
    expires_in_ms: lifeSchema,
  }),
  z.strictObject({
    kind: z.literal('join'),
    name: nameSchema,
    pool_id: idSchema,
    expires_in_ms: lifeSchema,
    vm_id: idSchema.optional().describe('only this VM may join by it; default: any of the pool'),
    max_vms: z
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .describe('how many VMs may join by it; default: no limit'),
  }),
]);
export type CreateTokenBody = z.input<typeof createTokenSchema>;

export const tokenSchema = z.object({
  id: idSchema,
  kind: z.enum(['operator', 'join']),
  name: z.string(),
  state: z.enum(['active', 'expired', 'revoked']),
  roles: z.record(z.string(), z.enum(ROLES)).optional().describe('of an operator token'),
  pool_id: z.string().optional().describe('of a join token'),
  vm_id: z.string().optional(),
  max_vms: z.int().optional(),
  joined_vms: z.int().optional().describe('how many VMs have joined by it, if max_vms is set'),
  created_at: timeSchema,
  created_by: z.string(),
  expires_at: timeSchema.optional().describe('absent = never'),
  revoked_at: timeSchema.optional(),
  keeps_sessions: z
    .boolean()
    .optional()
    .describe('of a join token that is revoked: VMs that have joined by it go on'),
});
export type TokenResource = z.infer<typeof tokenSchema>;

export const createdTokenSchema = tokenSchema.extend({
  token: z.string().describe('the token itself; it is stored nowhere and cannot be shown again'),
});
export type CreatedTokenResource = z.infer<typeof createdTokenSchema>;

export const tokenListSchema = z.object({ tokens: z.array(tokenSchema), next_cursor: z.string().optional() });

/** As `openssl x509 -serial` and `migctl certs issue` show it; colons and leading zeros do not count. */
export const serialSchema = z
  .string()
  .regex(/^[0-9A-Fa-f]{1,2}(:?[0-9A-Fa-f]{1,2}){0,39}$/, 'expected a serial number in hexadecimal digits')
  .describe('serial number of a certificate, in hexadecimal digits');

export const revokedCertificateSchema = z.object({
  serial: z.string(),
  revoked_at: timeSchema,
  revoked_by: z.string(),
});
export type RevokedCertificateResource = z.infer<typeof revokedCertificateSchema>;

export const revokedCertificateListSchema = z.object({ certificates: z.array(revokedCertificateSchema) });

export const whoamiSchema = z.object({
  name: z.string(),
  via: z.enum(['token', 'certificate', 'oidc', 'none']).describe('by what; none = no credential is needed'),
  roles: z.record(z.string(), z.enum(ROLES)),
  expires_at: timeSchema.optional(),
});
export type WhoamiResource = z.infer<typeof whoamiSchema>;

/** A page of the audit log: its lines as they stand in its files, so that their hashes can be checked. */
export const auditPageSchema = z.object({
  lines: z.array(z.string()),
  next_cursor: z.string().optional(),
  head: z.object({ seq: z.int(), hash: z.string() }).describe('the newest entry of the log'),
  first_seq: z.int().optional().describe('the oldest entry that there should be; 0 = there is none'),
  faults: z
    .array(z.string())
    .optional()
    .describe('what the controller itself finds wrong with its log, these entries among it; empty = nothing'),
});
