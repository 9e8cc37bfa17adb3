/**
 * An operator by client certificate of the controller's own CA: `urn:mig:operator:NAME`, with `urn:mig:role:ROLE` for every
 * pool and `urn:mig:role:ROLE:POOL` for one, as URIs. "migctl certs issue --operator" makes it.
 */
import { EVERY_POOL, ROLES, type Role } from '@mig/common/domain/roles';
import { isValidId } from '@mig/common/domain/ids';
import { uriNames } from './join/by-mtls.js';
import type { OperatorMethod } from './operator-auth.js';
import { serialOf } from './revoked-certificates.js';

const OPERATOR_URI = 'urn:mig:operator:';
const ROLE_URI = 'urn:mig:role:';

export const byCertificate: OperatorMethod = ({ certificate }) => {
  const uris = uriNames(certificate?.subjectaltname);
  const [name, ...others] = uris.flatMap((uri) =>
    uri.startsWith(OPERATOR_URI) ? [uri.slice(OPERATOR_URI.length)] : [],
  );
  if (certificate === undefined || name === undefined) return Promise.resolve(undefined);
  const grants = new Map<string, Role>();
  for (const uri of uris) {
    if (!uri.startsWith(ROLE_URI)) continue;
    const [role, pool = EVERY_POOL] = uri.slice(ROLE_URI.length).split(':');
    const known = ROLES.find((one) => one === role);
    if (known !== undefined && (pool === EVERY_POOL || isValidId(pool))) grants.set(pool, known);
  }
  if (others.length > 0 || !isValidId(name) || grants.size === 0)
    return Promise.resolve({
      kind: 'unknown',
      reason: `certificate ${certificate.serialNumber} names no operator with a role`,
    });
  return Promise.resolve({
    kind: 'known',
    principal: {
      kind: 'operator',
      name,
      id: `cert:${serialOf(certificate)}`,
      grants: Object.fromEntries(grants),
      via: 'certificate',
      expiresAt: Date.parse(certificate.valid_to),
    },
  });
};
