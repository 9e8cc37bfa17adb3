/**
 * HTTP for a MIGlet: the announcement, and everything else for one that cannot hold a stream.
 *
 * Bodies are the contract of proto/commands.proto as JSON. Fields that a newer MIGlet adds are ignored.
 */
import * as z from 'zod';
import { MigError } from '@mig/common/errors';
import { fromHealthResource, idSchema } from '@mig/common/api/vm-resource';
import { isFinal } from '@mig/common/domain/command-state';
import type { Parameters } from '@mig/common/domain/command';
import { MAX_EVENT_DATA, dataSize, isValidEventType } from '@mig/common/domain/event';
import type { JobStatus, VmIdentity, VmReport } from '@mig/common/domain/vm';
import { UnknownCommandError, type CommandQueue } from '../commands/command-queue.js';
import type { RunnerRegistrar } from '../commands/registrar.js';
import type { EventLog } from '../fleet/event-log.js';
import type { Fleet } from '../fleet/fleet.js';
import { StoreUnavailableError } from '../store/store.js';
import { BadRequestError } from './problems.js';
import type { App } from './app.js';
import { requireVm, vmParams } from './vm-routes.js';

export interface MigletRoutesDeps {
  readonly fleet: Fleet;
  readonly events: EventLog;
  readonly queue: CommandQueue;
  readonly registrar: RunnerRegistrar;
  readonly version: string;
  readonly now: () => number;
  /** HOST:PORT that MIGlets are told to connect to; empty = they know it themselves. */
  readonly grpcEndpoint: () => string;
}

/** GitHub could not be asked for a registration token. */
class GitHubUnavailableError extends MigError {
  constructor(reason: string) {
    super('github-unavailable', reason);
  }
}

/** Canonical JSON of protobuf writes an int64 as text; both forms are taken. */
const int64 = z.coerce.number().catch(0);
const number = z.coerce.number().catch(0);
/** Peers in other languages write null for what they do not have. */
const text = z
  .string()
  .max(4096)
  .nullish()
  .transform((value) => value ?? '');

const labelList = z
  .array(z.string())
  .nullish()
  .transform((value) => value ?? []);

const identityFields = {
  vm_id: idSchema.optional(),
  pool_id: idSchema,
  org_id: z.union([idSchema, z.literal('')]).default(''),
};

const eventBody = z.object({
  ...identityFields,
  type: z.string().refine(isValidEventType, 'expected 1 to 63 of a-z A-Z 0-9 . _ -'),
  data: z
    .record(z.string(), z.unknown())
    .nullish()
    .transform((value) => value ?? {}),
  timestamp: z.union([z.number(), z.string()]).optional().describe('unix seconds, or RFC 3339'),
  boot_id: z.union([idSchema, z.literal('')]).default(''),
  sequence: z.int().min(0).default(0),
});

const acknowledged = z.object({
  status: z.literal('acknowledged'),
  acknowledged: z.literal(true),
  vm_id: z.string(),
  pool_id: z.string(),
  org_id: z.string(),
  message: z.string(),
  grpc_endpoint: z.string().optional(),
});

const heartbeatBody = z.object({
  ...identityFields,
  boot_id: text,
  miglet_state: text,
  state_reason: text,
  health: z
    .object({
      cpu_usage_percent: number,
      memory_usage_percent: number,
      disk_usage_percent: number,
      memory_total_bytes: int64,
      memory_used_bytes: int64,
      disk_total_bytes: int64,
      disk_used_bytes: int64,
    })
    .nullish(),
  runner_state: z
    .object({
      state: z.enum(['idle', 'running', 'offline']).catch('offline'),
      configured: z.boolean().default(false),
      runner_name: text,
      labels: labelList,
    })
    .nullish(),
  current_job: z
    .object({
      job_id: text,
      run_id: text,
      name: text,
      repository: text,
      branch: text,
      commit: text,
      status: z.enum(['running', 'completed', 'failed']).catch('running'),
      started_at: int64,
    })
    .nullish(),
});

const ackBody = z.object({
  success: z.boolean(),
  message: text,
  result: z
    .record(z.string(), z.coerce.string())
    .nullish()
    .transform((value) => value ?? {}),
});

const tokenBody = z.object({
  org_id: z.union([idSchema, z.literal('')]).default(''),
  pool_id: idSchema.optional(),
  runner_group: text,
  labels: labelList,
});

export function migletRoutes(app: App, deps: MigletRoutesDeps): void {
  const { fleet, events, queue, registrar } = deps;

  app.post(
    '/api/v1/vms/:vm_id/events',
    {
      schema: {
        summary: 'A MIGlet reports an event',
        params: vmParams,
        body: eventBody,
        response: { 200: acknowledged },
      },
    },
    async (request) => {
      const { body } = request;
      const identity = identityOf(request.params.vm_id, body);
      const data = Object.fromEntries(Object.entries(body.data).map(([key, value]) => [key, asText(value)]));
      if (dataSize(data) > MAX_EVENT_DATA) {
        throw new BadRequestError(`data has ${dataSize(data)} characters: ${MAX_EVENT_DATA} are allowed`);
      }
      const outcome = await events.record(
        {
          ...identity,
          type: body.type,
          data,
          at: eventTime(body.timestamp) ?? deps.now(),
          bootId: body.boot_id,
          sequence: body.sequence,
        },
        'http',
      );
      if (outcome.kind === 'refused') throw new StoreUnavailableError(`event ${body.type}`, outcome.reason);
      const grpcEndpoint = body.type === 'vm_started' ? deps.grpcEndpoint() : '';
      return {
        status: 'acknowledged' as const,
        acknowledged: true as const,
        vm_id: identity.vmId,
        pool_id: identity.poolId,
        org_id: identity.orgId,
        message: `event ${body.type} is stored`,
        ...(grpcEndpoint === '' ? {} : { grpc_endpoint: grpcEndpoint }),
      };
    },
  );

  app.post(
    '/api/v1/vms/:vm_id/heartbeat',
    {
      schema: {
        summary: 'A MIGlet without a stream reports its state',
        params: vmParams,
        body: heartbeatBody,
        response: { 200: z.object({ status: z.literal('received') }) },
      },
    },
    (request) => {
      requireVm(fleet, request.params.vm_id);
      const identity = identityOf(request.params.vm_id, request.body);
      fleet.heartbeat({
        ...identity,
        bootId: request.body.boot_id,
        report: toReport(request.body),
        at: deps.now(),
      });
      return { status: 'received' as const };
    },
  );

  const polledCommand = z.object({
    id: z.string(),
    type: z.string(),
    parameters: z.record(z.string(), z.unknown()),
    created_at: z.int().describe('unix seconds'),
  });
  app.get(
    '/api/v1/vms/:vm_id/commands',
    {
      schema: {
        summary: 'A MIGlet without a stream asks for its commands',
        params: vmParams,
        response: { 200: z.object({ vm_id: z.string(), commands: z.array(polledCommand) }) },
      },
    },
    async (request) => {
      const { record } = requireVm(fleet, request.params.vm_id);
      const commands = [];
      for (const { id } of queue.deliverable(record.vmId)) {
        const parameters = await pollable(id, record.vmId);
        if (parameters === undefined) continue;
        const command = queue.get(id);
        await queue.markSent(id, record.bootId);
        commands.push({
          id,
          type: command.type,
          parameters,
          created_at: Math.floor(command.createdAt / 1000),
        });
      }
      return { vm_id: record.vmId, commands };
    },
  );

  /** The parameters of a command that may go out now. One that has no token yet waits for the next poll. */
  async function pollable(commandId: string, vmId: string): Promise<Parameters | undefined> {
    const command = queue.get(commandId);
    const vm = fleet.get(vmId)?.record;
    if (vm === undefined || (command.state !== 'queued' && command.state !== 'sent')) return undefined;
    if (Math.min(command.deliveryDeadlineAt, command.executionDeadlineAt) <= deps.now()) return undefined;
    if (command.type !== 'register_runner') return command.parameters;
    const minted = await registrar.mint(vm, command.parameters);
    if (minted.kind === 'ok') return isFinal(queue.get(commandId).state) ? undefined : minted.value;
    queue.note(commandId, `waits for GitHub: ${minted.reason}`);
    return undefined;
  }

  app.post(
    '/api/v1/vms/:vm_id/commands/:id/ack',
    {
      schema: {
        summary: 'A MIGlet without a stream says what became of a command',
        params: z.object({ vm_id: idSchema, id: idSchema }),
        body: ackBody,
        response: { 200: z.object({ status: z.literal('acknowledged') }) },
      },
    },
    async (request) => {
      const { vm_id: vmId, id } = request.params;
      requireVm(fleet, vmId);
      // A VM speaks only for itself (I10): of another's command it knows nothing.
      if (queue.get(id).vmId !== vmId) throw new UnknownCommandError(id);
      await queue.acknowledge(vmId, { commandId: id, phase: 'completed', ...request.body });
      return { status: 'acknowledged' as const };
    },
  );

  app.post(
    '/api/v1/vms/:vm_id/registration-token',
    {
      schema: {
        summary: 'A MIGlet without a stream asks for a registration token',
        params: vmParams,
        body: tokenBody,
        response: {
          200: z.object({
            registration_token: z.string(),
            expires_at: z.string(),
            runner_url: z.string(),
            runner_group: z.string(),
            labels: z.array(z.string()),
          }),
        },
      },
    },
    async (request) => {
      const { record } = requireVm(fleet, request.params.vm_id);
      const { labels, runner_group } = request.body;
      const minted = await registrar.mint(record, {
        ...(labels.length > 0 ? { labels } : {}),
        ...(runner_group === '' ? {} : { runner_group }),
      });
      if (minted.kind !== 'ok') throw new GitHubUnavailableError(minted.reason);
      const { registration_token, expires_at, runner_url, runner_group: group, labels: all } = minted.value;
      return {
        registration_token: asText(registration_token),
        expires_at: asText(expires_at),
        runner_url: asText(runner_url),
        runner_group: asText(group),
        labels: Array.isArray(all) ? (all as string[]) : [],
      };
    },
  );
}

/** The path says who speaks; a body that names another VM is refused (I10). */
function identityOf(
  vmId: string,
  body: { vm_id?: string | undefined; pool_id: string; org_id: string },
): VmIdentity {
  if (body.vm_id !== undefined && body.vm_id !== vmId) {
    throw new BadRequestError(`vm_id in the body is ${body.vm_id}, but the path says ${vmId}`);
  }
  return { vmId, poolId: body.pool_id, orgId: body.org_id };
}

function toReport(body: z.infer<typeof heartbeatBody>): VmReport {
  const job = body.current_job;
  const currentJob: JobStatus | undefined =
    job && job.job_id !== ''
      ? {
          jobId: job.job_id,
          runId: job.run_id,
          name: job.name,
          repository: job.repository,
          branch: job.branch,
          commit: job.commit,
          status: job.status,
          startedAt: job.started_at * 1000,
        }
      : undefined;
  return {
    state: body.miglet_state,
    stateReason: body.state_reason,
    health: body.health ? fromHealthResource(body.health) : undefined,
    runner: body.runner_state
      ? {
          state: body.runner_state.state,
          configured: body.runner_state.configured,
          name: body.runner_state.runner_name,
          labels: body.runner_state.labels,
        }
      : undefined,
    currentJob,
  };
}

function asText(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Milliseconds since 1970 of unix seconds or RFC 3339; undefined for neither. */
function eventTime(timestamp: number | string | undefined): number | undefined {
  if (timestamp === undefined) return undefined;
  if (typeof timestamp === 'number') return timestamp * 1000;
  const epochMs = /^\d+$/.test(timestamp) ? Number(timestamp) * 1000 : Date.parse(timestamp);
  return Number.isNaN(epochMs) ? undefined : epochMs;
}
