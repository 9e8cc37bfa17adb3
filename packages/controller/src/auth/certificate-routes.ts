/** Certificates that are taken no more: revoke one, list them. */
import * as z from 'zod';
import {
  revokedCertificateListSchema,
  revokedCertificateSchema,
  serialSchema,
  type RevokedCertificateResource,
} from '@mig/common/api/auth-resource';
import { toTime } from '@mig/common/api/time';
import type { App } from '../http/app.js';
import { callerName } from './http-guard.js';
import type { RevokedCertificate, RevokedCertificates } from './revoked-certificates.js';

const resource = ({ serial, revokedAt, revokedBy }: RevokedCertificate): RevokedCertificateResource => ({
  serial,
  revoked_at: toTime(revokedAt),
  revoked_by: revokedBy,
});

export function certificateRoutes(app: App, { revoked }: { readonly revoked: RevokedCertificates }): void {
  app.post(
    '/api/v1/revoked-certificates',
    {
      schema: {
        summary: 'Take a certificate of an operator or a VM no more, from now on',
        body: z.strictObject({ serial: serialSchema }),
        response: { 200: revokedCertificateSchema },
      },
    },
    async (request) => resource(await revoked.revoke(request.body.serial, callerName(request))),
  );

  app.get(
    '/api/v1/revoked-certificates',
    {
      schema: {
        summary: 'List the certificates that were revoked, in the order of their revocation',
        response: { 200: revokedCertificateListSchema },
      },
    },
    () => ({ certificates: revoked.list().map(resource) }),
  );
}
