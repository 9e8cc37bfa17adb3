/** The operator API, call by call. Answers are checked against their schemas; what is unknown in them is kept. */
import * as z from 'zod';
import {
  auditPageSchema,
  createdTokenSchema,
  revokedCertificateListSchema,
  revokedCertificateSchema,
  tokenListSchema,
  tokenSchema,
  whoamiSchema,
  type CreateTokenBody,
  type CreatedTokenResource,
  type RevokedCertificateResource,
  type TokenResource,
  type WhoamiResource,
} from '@mig/common/api/auth-resource';
import {
  commandListSchema,
  commandSchema,
  type CommandResource,
  type SubmitCommandBody,
} from '@mig/common/api/command-resource';
import {
  drainListSchema,
  drainSchema,
  type CreateDrainBody,
  type DrainResource,
} from '@mig/common/api/drain-resource';
import {
  githubSchema,
  runnerListSchema,
  type GitHubResource,
  type RunnerRowResource,
} from '@mig/common/api/github-resource';
import {
  eventListSchema,
  heartbeatListSchema,
  type EventResource,
  type HeartbeatResource,
} from '@mig/common/api/history-resource';
import { vmListSchema, vmSchema, type VmResource } from '@mig/common/api/vm-resource';
import {
  workflowJobListSchema,
  workflowJobSchema,
  type WorkflowJobResource,
} from '@mig/common/api/workflow-job-resource';
import { NO_HEAD, headOfLine, type AuditNote } from '@mig/common/domain/audit';
import type { CommandState } from '@mig/common/domain/command-state';
import type { DrainState } from '@mig/common/domain/drain';
import type { Liveness } from '@mig/common/domain/vm';
import type { WorkflowJobStatus } from '@mig/common/domain/workflow-job';
import { CliError, EXIT } from '../errors.js';
import type { Call } from './http.js';
import { sendWithRetry, type Patience, type RetryDeps } from './retry.js';

export interface VmFilter {
  readonly pool?: string | undefined;
  /** A state, or a phase for all states in it. */
  readonly state?: string | undefined;
  readonly liveness?: Liveness | undefined;
  readonly eligible?: boolean | undefined;
}

export interface CommandFilter {
  readonly vmId?: string | undefined;
  readonly state?: CommandState | undefined;
}

export interface RunnerFilter {
  readonly vmId?: string | undefined;
  readonly findings?: boolean | undefined;
}

export interface WorkflowJobFilter {
  readonly status?: WorkflowJobStatus | 'open' | undefined;
  /** `OWNER/REPOSITORY` */
  readonly repository?: string | undefined;
  readonly vm?: string | undefined;
}

export interface AuditCopy {
  readonly lines: readonly string[];
  readonly note: AuditNote;
  /** What the controller itself finds wrong with them. */
  readonly faults: readonly string[];
}

/** Every call throws a CliError that is ready to be shown, or an InterruptedError. */
export interface Client {
  /** Any call; the answer is checked against the schema, and kept as it came. */
  ask<S extends z.ZodType>(schema: S, call: Call): Promise<z.output<S>>;
  /** All pages of a list. */
  askAll<S extends z.ZodType<{ next_cursor?: string | undefined }>, Item>(
    schema: S,
    call: Call,
    itemsOf: (page: z.output<S>) => readonly Item[],
  ): Promise<Item[]>;
  /** All pages. */
  listVms(filter: VmFilter): Promise<VmResource[]>;
  getVm(vmId: string): Promise<VmResource>;
  /** The newest `limit` events, or the first `limit` after the id `after`; newest last. */
  listEvents(
    vmId: string,
    query: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<EventResource[]>;
  /** The newest `limit`, newest last. */
  listHeartbeats(vmId: string, limit: number): Promise<HeartbeatResource[]>;
  /** @param key the same key again gives the same command, so that this may be retried */
  submit(vmId: string, body: SubmitCommandBody, key: string): Promise<CommandResource>;
  /** All pages, in the order of their submission. */
  listCommands(filter: CommandFilter): Promise<CommandResource[]>;
  getCommand(commandId: string): Promise<CommandResource>;
  cancelCommand(commandId: string): Promise<CommandResource>;
  /** All pages, oldest first. */
  listDrains(filter: { readonly state?: DrainState | undefined }): Promise<DrainResource[]>;
  getDrain(drainId: string): Promise<DrainResource>;
  /** All pages, newest last. */
  listWorkflowJobs(filter: WorkflowJobFilter): Promise<WorkflowJobResource[]>;
  /** Of several attempts under one id, the last. */
  getWorkflowJob(jobId: string): Promise<WorkflowJobResource>;
  /** @param key the same key again gives the same drain, so that this may be retried */
  createDrain(body: CreateDrainBody, key: string): Promise<DrainResource>;
  /** Takes back what has not ended. May be retried: a drain that was taken back is not refused. */
  cancelDrain(drainId: string): Promise<DrainResource>;
  /** May be retried, as `uncordon`. */
  cordon(vmId: string, reason: string): Promise<VmResource>;
  uncordon(vmId: string): Promise<VmResource>;
  getGitHub(): Promise<GitHubResource>;
  /** All pages, by place and name. */
  listRunners(filter: RunnerFilter): Promise<RunnerRowResource[]>;
  whoami(): Promise<WhoamiResource>;
  createToken(body: CreateTokenBody): Promise<CreatedTokenResource>;
  /** All pages, oldest first. */
  listTokens(): Promise<TokenResource[]>;
  /** May be retried. */
  /** @param keepsSessions VMs that joined by it go on */
  revokeToken(tokenId: string, keepsSessions?: boolean): Promise<TokenResource>;
  /** May be retried. */
  releaseVm(vmId: string): Promise<void>;
  /** May be retried. */
  revokeCertificate(serial: string): Promise<RevokedCertificateResource>;
  listRevokedCertificates(): Promise<RevokedCertificateResource[]>;
  /** Every line of the audit log, oldest first, and what the controller says that there should be. */
  auditLog(): Promise<AuditCopy>;
  /** At least the newest `count` lines, if there are so many, oldest first. */
  auditTail(count: number): Promise<string[]>;
  /** Asks next to nothing. A controller that has answered once is waited for when it goes away. */
  touch(): Promise<void>;
  /** The same controller, asked with patience while it restarts. */
  withPatience(patience: Patience): Client;
}

const PAGE_SIZE = 1_000;

export function createClient(deps: RetryDeps, patience?: Patience): Client {
  async function ask<S extends z.ZodType>(schema: S, call: Call): Promise<z.output<S>> {
    const value = await sendWithRetry(deps, call, patience);
    const parsed = schema.safeParse(value);
    if (!parsed.success) {
      throw new CliError(
        'unreadable-answer',
        `the answer to ${call.method} ${call.path} is not understood: ${z.prettifyError(parsed.error).split('\n')[0] ?? ''}`,
        EXIT.failed,
        'migctl and the controller may be of different versions: compare them with `migctl version`',
      );
    }
    // The schemas only check. The answer itself is kept, so that `-o json` shows what a newer controller has to say.
    return value as z.output<S>;
  }

  /** Follows `next_cursor` to the last page. */
  async function askAll<S extends z.ZodType<{ next_cursor?: string | undefined }>, Item>(
    schema: S,
    call: Call,
    itemsOf: (page: z.output<S>) => readonly Item[],
  ): Promise<Item[]> {
    const items: Item[] = [];
    let cursor: string | undefined;
    do {
      const page = await ask(schema, { ...call, query: { ...call.query, limit: PAGE_SIZE, cursor } });
      for (const item of itemsOf(page)) items.push(item);
      cursor = page.next_cursor === cursor ? undefined : page.next_cursor;
    } while (cursor !== undefined);
    return items;
  }

  return {
    ask,
    askAll,
    listVms: ({ pool, state, liveness, eligible }) =>
      askAll(
        vmListSchema,
        {
          method: 'GET',
          path: '/api/v1/vms',
          query: { pool_id: pool, state, liveness, eligible: eligible?.toString() },
        },
        (page) => page.vms,
      ),
    getVm: (vmId) => ask(vmSchema, { method: 'GET', path: vmPath(vmId) }),
    listEvents: async (vmId, query) =>
      (await ask(eventListSchema, { method: 'GET', path: `${vmPath(vmId)}/events`, query })).events,
    listHeartbeats: async (vmId, limit) =>
      (
        await ask(heartbeatListSchema, {
          method: 'GET',
          path: `${vmPath(vmId)}/heartbeats`,
          query: { limit },
        })
      ).heartbeats,
    submit: (vmId, body, key) =>
      ask(commandSchema, {
        method: 'POST',
        path: `${vmPath(vmId)}/commands`,
        body,
        headers: { 'idempotency-key': key },
      }),
    listCommands: ({ vmId, state }) =>
      askAll(
        commandListSchema,
        { method: 'GET', path: '/api/v1/commands', query: { vm_id: vmId, state } },
        (page) => page.commands,
      ),
    getCommand: (commandId) => ask(commandSchema, { method: 'GET', path: commandPath(commandId) }),
    cancelCommand: (commandId) => ask(commandSchema, { method: 'DELETE', path: commandPath(commandId) }),
    listDrains: ({ state }) =>
      askAll(
        drainListSchema,
        { method: 'GET', path: '/api/v1/drains', query: { state } },
        (page) => page.drains,
      ),
    getDrain: (drainId) => ask(drainSchema, { method: 'GET', path: drainPath(drainId) }),
    listWorkflowJobs: ({ status, repository, vm }) =>
      askAll(
        workflowJobListSchema,
        { method: 'GET', path: '/api/v1/workflow-jobs', query: { status, repository, vm_id: vm } },
        (page) => page.workflow_jobs,
      ),
    getWorkflowJob: (jobId) =>
      ask(workflowJobSchema, { method: 'GET', path: `/api/v1/workflow-jobs/${encodeURIComponent(jobId)}` }),
    createDrain: (body, key) =>
      ask(drainSchema, {
        method: 'POST',
        path: '/api/v1/drains',
        body,
        headers: { 'idempotency-key': key },
      }),
    cancelDrain: (drainId) =>
      ask(drainSchema, { method: 'DELETE', path: drainPath(drainId), repeatable: true }),
    cordon: (vmId, reason) =>
      ask(vmSchema, {
        method: 'POST',
        path: `${vmPath(vmId)}/cordon`,
        body: { reason },
        repeatable: true,
      }),
    uncordon: (vmId) => ask(vmSchema, { method: 'POST', path: `${vmPath(vmId)}/uncordon`, repeatable: true }),
    getGitHub: () => ask(githubSchema, { method: 'GET', path: '/api/v1/github' }),
    listRunners: ({ vmId, findings }) =>
      askAll(
        runnerListSchema,
        {
          method: 'GET',
          path: '/api/v1/github/runners',
          query: { vm_id: vmId, findings: findings?.toString() },
        },
        (page) => page.runners,
      ),
    whoami: () => ask(whoamiSchema, { method: 'GET', path: '/api/v1/whoami' }),
    createToken: (body) => ask(createdTokenSchema, { method: 'POST', path: '/api/v1/tokens', body }),
    listTokens: () =>
      askAll(tokenListSchema, { method: 'GET', path: '/api/v1/tokens' }, (page) => page.tokens),
    revokeToken: (tokenId, keepsSessions = false) =>
      ask(tokenSchema, {
        method: 'DELETE',
        path: `/api/v1/tokens/${encodeURIComponent(tokenId)}`,
        ...(keepsSessions ? { query: { sessions: 'keep' } } : {}),
        repeatable: true,
      }),
    releaseVm: async (vmId) =>
      void (await ask(z.object({ vm_id: z.string() }), {
        method: 'POST',
        path: `${vmPath(vmId)}/release`,
        repeatable: true,
      })),
    revokeCertificate: (serial) =>
      ask(revokedCertificateSchema, {
        method: 'POST',
        path: '/api/v1/revoked-certificates',
        body: { serial },
        repeatable: true,
      }),
    listRevokedCertificates: async () =>
      (await ask(revokedCertificateListSchema, { method: 'GET', path: '/api/v1/revoked-certificates' }))
        .certificates,
    async auditLog() {
      // What came last holds: the log grows while it is read. What was there first must still be there.
      let first: number | undefined;
      let head = NO_HEAD;
      const faults = new Set<string>();
      const lines = await askAll(auditPageSchema, { method: 'GET', path: '/api/v1/audit' }, (page) => {
        // An older controller does not say it.
        first ??= page.first_seq ?? headOfLine(page.lines[0] ?? '')?.seq ?? 1;
        head = page.head;
        for (const fault of page.faults ?? []) faults.add(fault);
        return page.lines;
      });
      return { lines, note: { first: Math.max(1, first ?? 1), head }, faults: [...faults] };
    },
    auditTail: (count) =>
      askAll(
        auditPageSchema,
        { method: 'GET', path: '/api/v1/audit', query: { count } },
        (page) => page.lines,
      ),
    touch: async () =>
      void (await ask(vmListSchema, { method: 'GET', path: '/api/v1/vms', query: { limit: 1 } })),
    withPatience: (wanted) => createClient(deps, wanted),
  };
}

const vmPath = (vmId: string): string => `/api/v1/vms/${encodeURIComponent(vmId)}`;
const drainPath = (drainId: string): string => `/api/v1/drains/${encodeURIComponent(drainId)}`;
const commandPath = (commandId: string): string => `/api/v1/commands/${encodeURIComponent(commandId)}`;
