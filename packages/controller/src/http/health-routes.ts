/** Liveness, readiness, and the short status that MIGlets and people ask for. */
import * as z from 'zod';
import type { Links } from '../fleet/links.js';
import type { App } from './app.js';

export interface HealthDeps {
  readonly links: Links;
  readonly version: string;
  /** Empty when the controller can do its work; otherwise what is missing. */
  readonly notReady: () => readonly string[];
  /** What an operator should know although it works: settings that are not secure. */
  readonly warnings: () => readonly string[];
  readonly monotonicMs: () => number;
  /** How often each limit was reached since the start. */
  readonly limitsReached: () => Readonly<Record<string, number>>;
}

export function healthRoutes(app: App, deps: HealthDeps): void {
  const startedAtMs = deps.monotonicMs();

  app.get(
    '/healthz',
    {
      schema: {
        summary: 'Does the process answer?',
        response: { 200: z.object({ status: z.literal('ok') }) },
      },
    },
    () => ({ status: 'ok' as const }),
  );

  const readiness = z.object({
    status: z.enum(['ready', 'not_ready']),
    reasons: z.array(z.string()),
    warnings: z.array(z.string()),
  });
  app.get(
    '/readyz',
    { schema: { summary: 'Can it do its work?', response: { 200: readiness, 503: readiness } } },
    async (_, reply) => {
      const reasons = [...deps.notReady()];
      const status = reasons.length === 0 ? 200 : 503;
      return reply
        .code(status)
        .send({ status: status === 200 ? 'ready' : 'not_ready', reasons, warnings: [...deps.warnings()] });
    },
  );

  app.get(
    '/health',
    {
      schema: {
        summary: 'Status in short',
        response: {
          200: z.object({
            status: z.literal('ok'),
            connected_agents: z.int(),
            total_connections: z.int(),
            uptime_seconds: z.number(),
            version: z.string(),
            limits_reached: z.record(z.string(), z.int()).describe('how often, since the start'),
          }),
        },
      },
    },
    () => ({
      status: 'ok' as const,
      connected_agents: deps.links.count,
      total_connections: deps.links.totalCount,
      uptime_seconds: Math.round((deps.monotonicMs() - startedAtMs) / 1000),
      version: deps.version,
      limits_reached: { ...deps.limitsReached() },
    }),
  );
}
