import type { FastifyRequest } from 'fastify';

/** The keys of a body; none, if it is no object. */
export const bodyOf = (request: FastifyRequest): Readonly<Record<string, unknown>> =>
  typeof request.body === 'object' && request.body !== null ? (request.body as Record<string, unknown>) : {};
