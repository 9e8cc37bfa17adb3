/**
 * By the identity token that Google's metadata server signs for an instance (`…/identity?audience=A&format=full`).
 *
 * Every job on the VM can get such a token too. So one token is good for one boot only, the VM's name is bound to the
 * instance, and the boot that joined first keeps the name: the MIGlet joins before any job runs.
 */
import { errors, jwtVerify, type JWTVerifyGetKey } from 'jose';
import * as z from 'zod';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import { createKeyCache, fetchJson } from '../key-cache.js';
import { hashSecret } from '../secret.js';
import { refused, type JoinMethod, type JoinRequest, type JoinVerdict } from './join-method.js';

export interface GceJoinDeps {
  readonly keys: JWTVerifyGetKey;
  readonly clock: Clock;
}

const ISSUERS = ['https://accounts.google.com', 'accounts.google.com'];
/** Tokens that are remembered as used (I12); they live an hour at most. */
const MAX_USED = 100_000;

const payloadSchema = z.looseObject({
  exp: z.number(),
  email: z.string().optional(),
  email_verified: z.boolean().optional(),
  google: z.object({
    compute_engine: z.looseObject({
      project_id: z.string(),
      zone: z.string(),
      instance_name: z.string(),
      instance_id: z.string(),
    }),
  }),
});

const TIMEOUT_MS = 5_000;

/** Google's keys, kept for 10 minutes, fetched again for a key id that is new. */
export const googleKeys = (url: string, fetch: typeof globalThis.fetch, clock: Clock): JWTVerifyGetKey =>
  createKeyCache(clock, () => fetchJson(fetch, url, TIMEOUT_MS));

export function createGceJoin({ keys, clock }: GceJoinDeps): JoinMethod {
  /** Hash of a token -> whose it is. */
  const used = new Map<string, { readonly boot: string; readonly untilMs: number }>();

  /** False if another boot has used it. */
  function use(token: string, boot: string, expiresAt: number): boolean {
    const key = hashSecret(token);
    const before = used.get(key);
    if (before !== undefined) return before.boot === boot;
    for (const [old, { untilMs }] of used) {
      if (untilMs > clock.now() && used.size < MAX_USED) break;
      used.delete(old);
    }
    used.set(key, { boot, untilMs: expiresAt + 60_000 });
    return true;
  }

  return {
    async verify(request) {
      const { gce } = request.pool;
      const token = request.proof.identity_token;
      if (token === undefined) return refused('no identity token');
      if (gce.audience === '' || gce.projects.length === 0)
        return refused('the pool names no audience or no projects for gce');
      let payload;
      try {
        const verified = await jwtVerify(token, keys, {
          algorithms: ['RS256'],
          audience: gce.audience,
          issuer: ISSUERS,
          currentDate: new Date(clock.now()),
          clockTolerance: 30,
          requiredClaims: ['exp'],
        });
        payload = payloadSchema.safeParse(verified.payload);
      } catch (error) {
        return failure(error);
      }
      if (!payload.success) return refused('the identity token has no instance in it: ask for format=full');
      const wrong = mismatch(payload.data, request);
      if (wrong !== undefined) return refused(wrong);
      if (!use(token, `${request.vmId} ${request.bootId}`, payload.data.exp * 1_000))
        return refused('the identity token was used by another boot');
      const { project_id: project, zone, instance_id: instance } = payload.data.google.compute_engine;
      return { kind: 'ok', by: `gce ${project}/${zone}/${instance}` };
    },
  };
}

function mismatch(payload: z.infer<typeof payloadSchema>, { vmId, pool }: JoinRequest): string | undefined {
  const { gce } = pool;
  const instance = payload.google.compute_engine;
  const isOneOf = (allowed: readonly string[], value: string): boolean =>
    allowed.length === 0 || allowed.includes(value);
  if (!gce.projects.includes(instance.project_id)) return `project ${instance.project_id} is not of the pool`;
  if (!isOneOf(gce.zones, instance.zone)) return `zone ${instance.zone} is not of the pool`;
  if (gce.service_accounts.length > 0) {
    if (payload.email_verified !== true || !gce.service_accounts.includes(payload.email ?? ''))
      return `service account ${payload.email ?? 'none'} is not of the pool`;
  }
  const name = gce.vm_id === 'instance_id' ? instance.instance_id : instance.instance_name;
  return name === vmId ? undefined : `the instance is ${name}, not ${vmId}`;
}

/** A token that is wrong stays wrong; keys that cannot be had are asked for again. */
function failure(error: unknown): JoinVerdict {
  const isOfToken =
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWTExpired ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys;
  if (isOfToken) return refused(`identity token: ${error.code}`);
  return { kind: 'unavailable', reason: `Google's keys cannot be had: ${errorMessage(error)}` };
}
