/** The HTTP server: MIGlet routes, operator API, health. Every error leaves as a problem; the API describes itself. */
import swagger from '@fastify/swagger';
import fastify from 'fastify';
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import type { Logger } from '@mig/common/logger';
import { problemType } from '@mig/common/api/problem';
import { BodyTooLargeError, MAX_STRANGER_BODY, guardRoutes, type HttpGuardDeps } from '../auth/http-guard.js';
import { peerOf } from '../auth/peer-address.js';
import { createHttpListener, type ServerTls } from '../auth/tls/servers.js';
import type { Door } from '../door/door.js';
import { withTypes, type App } from './app.js';
import { hasMoreValues } from './json-values.js';
import { boundPipelining } from './pipelining.js';
import { ControllerStoppingError, TooComplexError, createErrorHandler, sendProblem } from './problems.js';
import { healthRoutes, type HealthDeps } from './health-routes.js';
import { migletRoutes, type MigletRoutesDeps } from './miglet-routes.js';
import { commandRoutes, type CommandRoutesDeps } from './command-routes.js';
import { drainRoutes, type DrainRoutesDeps } from './drain-routes.js';
import { jobRoutes, type JobRoutesDeps } from './job-routes.js';
import { taskRoutes, type TaskRoutesDeps } from './task-routes.js';
import { githubRoutes, type GitHubRoutesDeps } from './github-routes.js';
import { runnerDownloadRoutes, type RunnerDownloadRoutesDeps } from './runner-download-routes.js';
import { vmRoutes, type VmRoutesDeps } from './vm-routes.js';
import { webhookRoutes, type WebhookRoutesDeps } from './webhook-routes.js';
import { workflowJobRoutes, type WorkflowJobRoutesDeps } from './workflow-job-routes.js';

export type HttpServerDeps = HealthDeps &
  MigletRoutesDeps &
  VmRoutesDeps &
  CommandRoutesDeps &
  TaskRoutesDeps &
  JobRoutesDeps &
  DrainRoutesDeps &
  GitHubRoutesDeps &
  RunnerDownloadRoutesDeps &
  WebhookRoutesDeps &
  WorkflowJobRoutesDeps & {
    readonly logger: Logger;
    /** Undefined = plain text. */
    readonly tls: ServerTls | undefined;
    readonly door: Pick<Door, 'guard' | 'punish'>;
    readonly auth: { readonly guard: HttpGuardDeps; routes(app: App): void };
    /** Aborted when the controller begins to stop: from then on nothing new is taken. */
    readonly stopping: AbortSignal;
  };

export interface HttpServer {
  /** @returns the port that is listened on; rejects with the system's error if it cannot be had */
  listen(host: string, port: number): Promise<number>;
  /** Resolves when the requests under way have been answered; at the deadline their connections are cut. */
  stop(deadlineMs: number): Promise<void>;
}

/** A request that comes drop by drop is cut off; so is one with very large headers. */
const LISTENER = { requestTimeoutMs: 30_000, headersTimeoutMs: 15_000, maxHeaderBytes: 32_768 };

/** Of a body that is not an operator's. */
const MAX_VALUES = 10_000;

export async function createHttpServer(
  deps: HttpServerDeps,
  limits: { readonly bodyBytes: number },
): Promise<HttpServer> {
  const handleError = createErrorHandler(deps.logger);
  const app = withTypes(
    fastify({
      logger: false,
      // A path that cannot be decoded, or has a part that is too long, is refused before any route is chosen.
      frameworkErrors: (error, request, reply) => void handleError(error, request, reply),
      bodyLimit: limits.bodyBytes,
      // What is refused while the controller stops is refused by the hook below, as a problem.
      return503OnClosing: false,
      serverFactory(handler) {
        const bounded = boundPipelining(handler, (socket) => deps.door.punish(peerOf(socket)));
        const listener = createHttpListener(bounded, deps.tls, LISTENER);
        deps.door.guard(listener);
        return listener;
      },
      // On stop, idle keep-alive connections do not hold the end up.
      forceCloseConnections: 'idle',
      routerOptions: { maxParamLength: 256 },
    }),
  );
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  // Many clients name JSON also where they send nothing: a route that needs a body says so itself.
  const parseJson = app.getDefaultJsonParser('error', 'ignore');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = body as string;
    request.bodyBytes = Buffer.byteLength(text);
    // An operator may name ten thousand VMs; what a VM has to say is short, and a stranger's word shorter.
    if (request.principal?.kind !== 'operator' && hasMoreValues(text, MAX_VALUES))
      done(new TooComplexError(MAX_VALUES));
    else if (
      request.countedFor === undefined &&
      request.principal === undefined &&
      request.bodyBytes > MAX_STRANGER_BODY
    )
      done(new BodyTooLargeError());
    else if (text === '') done(null, undefined);
    else void parseJson(request, text, done);
  });
  app.setErrorHandler(handleError);
  app.setNotFoundHandler((request, reply) =>
    sendProblem(reply, {
      type: problemType('not-found'),
      title: 'Not found',
      status: 404,
      detail: `there is no ${request.method} ${request.url.split('?', 1)[0] ?? ''}; GET /api/v1/openapi.json lists what there is`,
    }),
  );
  app.addHook('onRequest', async (request) => {
    if (deps.stopping.aborted && !/^(GET|HEAD)$/.test(request.method)) throw new ControllerStoppingError();
  });
  guardRoutes(app, deps.auth.guard);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'MIG controller',
        version: deps.version,
        description: 'VMs with GitHub Actions runners: what they do, and commands for them.',
      },
    },
    transform: jsonSchemaTransform,
  });
  await app.register((scope, _, done) => {
    const typed = withTypes(scope);
    healthRoutes(typed, deps);
    migletRoutes(typed, deps);
    vmRoutes(typed, deps);
    commandRoutes(typed, deps);
    drainRoutes(typed, deps);
    taskRoutes(typed, deps);
    jobRoutes(typed, deps);
    githubRoutes(typed, deps);
    runnerDownloadRoutes(typed, deps);
    workflowJobRoutes(typed, deps);
    deps.auth.routes(typed);
    // Written once, before anybody asks: it is large, anybody may ask for it, and nobody else shall wait for it.
    let description = '';
    app.addHook('onReady', (ready) => {
      description = JSON.stringify(app.swagger());
      ready();
    });
    typed.get('/api/v1/openapi.json', { schema: { hide: true } }, (_, reply) => {
      return reply.type('application/json; charset=utf-8').serializer(String).send(description);
    });
    done();
  });
  await app.register((scope, _, done) => {
    webhookRoutes(scope, deps);
    done();
  });
  return {
    async listen(host, port) {
      await app.listen({ host, port });
      const address = app.server.address();
      return typeof address === 'object' && address !== null ? address.port : port;
    },
    async stop(deadlineMs) {
      const timer = setTimeout(() => app.server.closeAllConnections(), deadlineMs);
      await app.close();
      clearTimeout(timer);
    },
  };
}
