/** By a client certificate of the controller's own CA that names the VM, and perhaps its pool, in a URI. */
import { refused, type JoinMethod } from './join-method.js';

const VM_URI = 'urn:mig:vm:';
const POOL_URI = 'urn:mig:pool:';

export function createMtlsJoin(): JoinMethod {
  return {
    verify({ certificate, vmId, poolId }) {
      if (certificate === undefined)
        return Promise.resolve(refused('no client certificate that was checked'));
      const uris = uriNames(certificate.subjectaltname);
      const vms = uris.filter((uri) => uri.startsWith(VM_URI));
      const pools = uris.filter((uri) => uri.startsWith(POOL_URI));
      if (vms.length !== 1 || vms[0] !== VM_URI + vmId)
        return Promise.resolve(refused(`the certificate is of ${vms.join(', ') || 'no VM'}, not of ${vmId}`));
      if (pools.length > 0 && !pools.includes(POOL_URI + poolId))
        return Promise.resolve(refused(`the certificate is of ${pools.join(', ')}, not of pool ${poolId}`));
      return Promise.resolve({ kind: 'ok', by: `certificate ${certificate.serialNumber}` });
    },
  };
}

/**
 * The URIs of a certificate's subjectAltName, as Node writes it: `DNS:a, URI:b`. A name with a comma or quotes in it is
 * written as a JSON text, and is none of ours.
 */
export function uriNames(subjectAltName: string | undefined): string[] {
  if (subjectAltName === undefined || subjectAltName.includes('"')) return [];
  return subjectAltName
    .split(', ')
    .filter((name) => name.startsWith('URI:'))
    .map((name) => name.slice('URI:'.length));
}
