/** Tokens: make, list, revoke. And: who am I? */
import * as z from 'zod';
import {
  createTokenSchema,
  createdTokenSchema,
  tokenListSchema,
  tokenSchema,
  whoamiSchema,
  type TokenResource,
} from '@mig/common/api/auth-resource';
import { toOptionalTime, toTime } from '@mig/common/api/time';
import { idSchema } from '@mig/common/api/vm-resource';
import type { App } from '../http/app.js';
import { cursorSchema, limitSchema, page } from '../http/paging.js';
import { ForbiddenError, UnauthenticatedError } from './errors.js';
import { callerName, maySee } from './http-guard.js';
import type { TokenBook, TokenRecord } from './token-book.js';
import { query } from '../http/query.js';

export interface TokenRoutesDeps {
  readonly book: TokenBook;
  readonly now: () => number;
}

/** A token outlives the time in which nobody needs a credential: somebody who shows one makes it. */
class NoAuthorError extends ForbiddenError {
  constructor() {
    super(
      'a token is made by an admin who shows a credential, also while none is needed: the first one is in data_dir/.auth/admin-token ("migctl login --token-file FILE")',
    );
  }
}

/** The pools that a token is about: who administers all of them may see and revoke it. */
export const poolsOfToken = (token: TokenRecord): readonly string[] =>
  token.kind === 'join' ? [token.poolId] : Object.keys(token.grants);

export function tokenRoutes(app: App, { book, now }: TokenRoutesDeps): void {
  const resource = (token: TokenRecord): TokenResource => ({
    id: token.id,
    kind: token.kind,
    name: token.name,
    state: book.stateOf(token),
    ...(token.kind === 'operator'
      ? { roles: { ...token.grants } }
      : {
          pool_id: token.poolId,
          ...(token.vmId === undefined ? {} : { vm_id: token.vmId }),
          ...(token.maxVms === undefined ? {} : { max_vms: token.maxVms, joined_vms: token.vmIds.length }),
        }),
    created_at: toTime(token.createdAt),
    created_by: token.createdBy,
    expires_at: toOptionalTime(token.expiresAt),
    revoked_at: toOptionalTime(token.revokedAt),
    ...(token.kind === 'join' && token.revokedAt !== undefined
      ? { keeps_sessions: token.keepsSessions === true }
      : {}),
  });

  app.post(
    '/api/v1/tokens',
    {
      schema: {
        summary: 'Make a token for an operator, or for the VMs of a pool; it is told once',
        body: createTokenSchema,
        response: { 201: createdTokenSchema },
      },
    },
    async (request, reply) => {
      const { body } = request;
      // What nobody made, under insecure: true, would be good for ever after that is taken away.
      if (request.principal?.via === 'none') throw new NoAuthorError();
      const common = {
        name: body.name,
        createdBy: callerName(request),
        expiresAt: now() + body.expires_in_ms,
      };
      const { record, secret } = await book.create(
        body.kind === 'operator'
          ? { kind: 'operator', ...common, grants: body.roles }
          : { kind: 'join', ...common, poolId: body.pool_id, vmId: body.vm_id, maxVms: body.max_vms },
      );
      return reply
        .code(201)
        .header('cache-control', 'no-store')
        .send({ ...resource(record), token: secret });
    },
  );

  app.get(
    '/api/v1/tokens',
    {
      schema: {
        summary: 'List tokens, without their secrets, in the order in which they were made',
        querystring: query({ limit: limitSchema(500), cursor: cursorSchema }),
        response: { 200: tokenListSchema },
      },
    },
    (request) => {
      const { limit, cursor } = request.query;
      const mine = book
        .list()
        .filter((token) => poolsOfToken(token).every((poolId) => maySee(request, poolId, 'admin')));
      const { items, nextCursor } = page(mine, (token) => token.id, limit, cursor);
      return {
        tokens: items.map(resource),
        ...(nextCursor === undefined ? {} : { next_cursor: nextCursor }),
      };
    },
  );

  app.delete(
    '/api/v1/tokens/:id',
    {
      schema: {
        summary:
          'Revoke a token: it is taken no more from now on, nor are the sessions that VMs began with it',
        params: z.object({ id: idSchema }),
        querystring: query({
          sessions: z
            .enum(['end', 'keep'])
            .default('end')
            .describe('keep: VMs that have joined by it go on, and none joins by it any more'),
        }),
        response: { 200: tokenSchema },
      },
    },
    async (request) => resource(await book.revoke(request.params.id, request.query.sessions === 'keep')),
  );

  app.get(
    '/api/v1/whoami',
    { schema: { summary: 'Whose credential is this?', response: { 200: whoamiSchema } } },
    ({ principal }) => {
      if (principal?.kind !== 'operator') throw new UnauthenticatedError();
      const { name, via, grants, expiresAt } = principal;
      return { name, via, roles: { ...grants }, expires_at: toOptionalTime(expiresAt) };
    },
  );
}
