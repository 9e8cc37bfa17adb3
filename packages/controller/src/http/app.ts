import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';

/** The app with its routes typed by their zod schemas. */
export const withTypes = (app: FastifyInstance) => app.withTypeProvider<ZodTypeProvider>();

export type App = ReturnType<typeof withTypes>;
