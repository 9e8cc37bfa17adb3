/** `POST /api/v1/vms/{vm_id}/join`: a VM gets its session, or the next token of the one that it has. */
import * as z from 'zod';
import { idSchema } from '@mig/common/api/vm-resource';
import type { App } from '../http/app.js';
import { vmParams } from '../http/vm-routes.js';
import { UnauthenticatedError } from './errors.js';
import type { VmGate } from './vm-gate.js';

/** A document or a token of a cloud has some kilobytes at most. */
const MAX_PROOF = 16_384;
const proofText = z.string().min(1).max(MAX_PROOF);

/** How a VM proves that it belongs to its pool; `boot_id` is the joining boot's, where the event is of an earlier one. */
export const joinProofSchema = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('token'), boot_id: idSchema.optional(), token: proofText }),
  z.strictObject({ method: z.literal('gce'), boot_id: idSchema.optional(), identity_token: proofText }),
  z.strictObject({
    method: z.literal('aws'),
    boot_id: idSchema.optional(),
    document: proofText,
    signature: proofText,
    token: proofText,
  }),
  z.strictObject({ method: z.literal('mtls'), boot_id: idSchema.optional() }),
]);

/** What a VM that has joined is told; absent = it needs no session. */
export const sessionFields = {
  session_token: z.string().optional().describe('for "Authorization: Bearer", over HTTP and gRPC'),
  session_expires_in_ms: z.int().optional().describe('from now'),
};

export function joinRoute(app: App, { gate }: { readonly gate: VmGate }): void {
  app.post(
    '/api/v1/vms/:vm_id/join',
    {
      schema: {
        summary: 'A MIGlet joins, or renews its session',
        params: vmParams,
        body: z.object({
          pool_id: idSchema,
          boot_id: z.union([idSchema, z.literal('')]).default(''),
          join: joinProofSchema.optional(),
        }),
        response: { 200: z.object({ vm_id: z.string(), ...sessionFields }) },
      },
    },
    async ({ principal, issuedSession, params }, reply) => {
      if (principal?.kind !== 'vm') throw new UnauthenticatedError();
      void reply.header('cache-control', 'no-store');
      const { claims } = principal as { claims?: Parameters<VmGate['renew']>[0] };
      const issued = issuedSession ?? (claims === undefined ? undefined : await gate.renew(claims));
      return { vm_id: params.vm_id, ...sessionAnswer(issued) };
    },
  );
}

/** The session in the words of the API. */
export const sessionAnswer = (
  issued: { readonly token: string; readonly expiresInMs: number } | undefined,
): { session_token?: string; session_expires_in_ms?: number } =>
  issued === undefined ? {} : { session_token: issued.token, session_expires_in_ms: issued.expiresInMs };
