/**
 * HTTP for a MIGlet: the announcement, and everything else for one that cannot hold a stream.
 *
 * Bodies are the contract of proto/commands.proto as JSON. Fields that a newer MIGlet adds are ignored.
 */
import * as z from 'zod';
import { MigError, printable } from '@mig/common/errors';
import { idSchema } from '@mig/common/api/vm-resource';
import { isFinal } from '@mig/common/domain/command-state';
import type { Parameters } from '@mig/common/domain/command';
import { MAX_EVENT_DATA, dataSize } from '@mig/common/domain/event';
import type { VmIdentity } from '@mig/common/domain/vm';
import { sessionAnswer } from '../auth/join-route.js';
import { isForAnotherBoot } from '../commands/boot-binding.js';
import { cordonNote } from '../commands/cordon-note.js';
import type { CommandQueue } from '../commands/command-queue.js';
import { UnknownCommandError } from '../commands/errors.js';
import type { Minting } from '../commands/minting.js';
import type { RunnerRegistrar } from '../commands/registrar.js';
import type { EventLog } from '../fleet/event-log.js';
import type { Fleet } from '../fleet/fleet.js';
import { StoreUnavailableError } from '../store/store.js';
import { ackBody, acknowledged, eventBody, heartbeatBody, toReport, tokenBody } from './miglet-bodies.js';
import { BadRequestError } from './problems.js';
import type { App } from './app.js';
import { requireVm, vmParams } from './vm-routes.js';

export interface MigletRoutesDeps {
  readonly fleet: Fleet;
  readonly events: EventLog;
  readonly queue: CommandQueue;
  readonly registrar: Pick<RunnerRegistrar, 'mintToken'>;
  readonly minting: Minting;
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

/** The VM takes no new jobs, so it gets no runner. */
class VmCordonedError extends MigError {
  constructor(
    readonly vmId: string,
    why: string,
  ) {
    super('vm-cordoned', `VM ${vmId} gets no registration token: ${why}`);
  }
}

/** The heartbeat is of another life of the VM than the one that the controller knows. */
class OtherBootError extends MigError {
  constructor(
    readonly vmId: string,
    readonly bootId: string,
    readonly currentBootId: string,
  ) {
    super(
      'other-boot',
      `the heartbeat is of boot ${printable(bootId)}, but VM ${vmId} is in ${
        currentBootId === '' ? 'a life without a boot id' : `boot ${currentBootId}`
      }: announce the boot with vm_started first`,
    );
  }
}

export function migletRoutes(app: App, deps: MigletRoutesDeps): void {
  const { fleet, events, queue, registrar, minting } = deps;

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
          previousSequence: body.previous_sequence,
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
        ...sessionAnswer(request.issuedSession),
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
      const { record } = requireVm(fleet, request.params.vm_id);
      const identity = identityOf(request.params.vm_id, request.body);
      const { boot_id: bootId, interval_ms: intervalMs } = request.body;
      const taken = fleet.heartbeat({
        ...identity,
        bootId,
        report: toReport(request.body),
        at: deps.now(),
        intervalMs: Math.max(0, intervalMs),
      });
      // A legacy MIGlet, which names no boot, is answered as the original contract says.
      if (!taken && bootId !== '') throw new OtherBootError(record.vmId, bootId, record.bootId);
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
    const { delivery, execution } = queue.remainingMs(command);
    if (Math.min(delivery, execution) <= 0 || isForAnotherBoot(command, vm.bootId)) return undefined;
    if (command.type !== 'register_runner') return command.parameters;
    if (vm.cordon !== undefined) {
      queue.note(commandId, cordonNote(vm.cordon));
      return undefined;
    }
    const minted = await minting.mint(command, vm);
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
      if (record.cordon !== undefined) throw new VmCordonedError(record.vmId, cordonNote(record.cordon));
      const { labels, runner_group } = request.body;
      const minted = await registrar.mintToken(record, {
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
