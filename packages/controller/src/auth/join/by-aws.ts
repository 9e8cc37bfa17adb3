/**
 * By the instance identity document of EC2 with its signature (`…/instance-identity/document` and `…/signature`, RSA with
 * SHA-256), and a one-time token: the document never changes and every job on the VM can read it, so that it alone proves
 * where a VM runs, and not that this is its MIGlet. The token is good for the boot that used it first, and for no other.
 */
import { X509Certificate, verify } from 'node:crypto';
import * as z from 'zod';
import { errorMessage } from '@mig/common/errors';
import type { TokenBook } from '../token-book.js';
import { byBook } from './by-token.js';
import { refused, type JoinMethod } from './join-method.js';

export interface AwsJoinDeps {
  readonly book: TokenBook;
  readonly readFile: (file: string) => Promise<string | undefined>;
}

const documentSchema = z.looseObject({
  accountId: z.string(),
  region: z.string(),
  instanceId: z.string(),
});

export function createAwsJoin({ book, readFile }: AwsJoinDeps): JoinMethod {
  return {
    async verify(request) {
      const { proof, pool, vmId } = request;
      const { aws } = pool;
      if (proof.document === undefined || proof.signature === undefined || proof.token === undefined)
        return refused('an identity document, its signature and a one-time token are needed');
      const document = documentSchema.safeParse(parse(proof.document));
      if (!document.success) return refused('no identity document');
      const { accountId, region, instanceId } = document.data;
      const file = Object.hasOwn(aws.certificates, region) ? aws.certificates[region] : undefined;
      if (file === undefined) return refused(`no certificate is configured for region ${region}`);
      const pem = await readFile(file);
      if (pem === undefined) return { kind: 'unavailable', reason: `the certificate ${file} is not there` };
      let isSigned: boolean;
      try {
        const signature = Buffer.from(proof.signature, 'base64');
        isSigned = verify(
          'sha256',
          Buffer.from(proof.document),
          new X509Certificate(pem).publicKey,
          signature,
        );
      } catch (error) {
        return {
          kind: 'unavailable',
          reason: `the certificate ${file} is of no use: ${errorMessage(error)}`,
        };
      }
      if (!isSigned) return refused('the signature of the identity document is not of its region');
      if (!aws.accounts.includes(accountId)) return refused(`account ${accountId} is not of the pool`);
      if (instanceId !== vmId) return refused(`the instance is ${instanceId}, not ${vmId}`);
      const verdict = await byBook(book, request, proof.token, true);
      return verdict.kind === 'ok'
        ? { ...verdict, by: `aws ${accountId}/${region}, ${verdict.by}` }
        : verdict;
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
