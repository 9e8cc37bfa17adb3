/** A controller for tests: a real HTTP server that answers as the operator API does, from what a test puts into it. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { commandListSchema, commandSchema, type CommandResource } from '@mig/common/api/command-resource';
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
import type { CommandState } from '@mig/common/domain/command-state';
import { stateMatches } from '@mig/common/domain/vm-state';
import { ScriptedDrains } from './scripted-drains.contract.js';

export const NOW = Date.parse('2026-11-21T12:00:00.000Z');
const time = (agoMs: number): string => new Date(NOW - agoMs).toISOString();

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly key: string | undefined;
}

/** Answers a request in the place of the controller; false: the controller answers. */
type Interceptor = (request: Request, response: ServerResponse) => boolean;

export function makeVm(vmId: string, fields: Partial<VmResource> = {}): VmResource {
  return {
    vm_id: vmId,
    pool_id: 'linux',
    org_id: 'acme',
    boot_id: `boot-${vmId}`,
    version: '0.1.0',
    state: 'ready.idle',
    health: null,
    runner: null,
    current_job: null,
    labels: [],
    first_seen_at: time(3 * 3_600_000),
    last_seen_at: time(3_000),
    last_heartbeat_at: time(3_000),
    link: 'connected',
    liveness: 'alive',
    eligible: true,
    ...fields,
  };
}

export const makeJob = (name: string, agoMs = 133_000): NonNullable<VmResource['current_job']> => ({
  job_id: `job-${name}`,
  run_id: '7',
  name,
  repository: 'acme/app',
  branch: 'main',
  commit: '0123456789abcdef',
  status: 'running',
  started_at: time(agoMs),
});

/** A controller that does not sign in at GitHub. */
export const makeGitHub = (fields: Partial<GitHubResource> = {}): GitHubResource => ({
  auth: 'none',
  api_url: 'https://api.github.com',
  installations: [],
  webhooks: {
    configured: false,
    taken: 0,
    duplicates: 0,
    ignored: 0,
    refused: {},
    jobs: { open: 0, finished: 0 },
    redelivery: null,
    redelivery_off: 'github.webhook.secret_file is empty: webhooks are refused',
  },
  reconciliation: null,
  ...fields,
});

export class ScriptedController {
  readonly vms = new Map<string, VmResource>();
  readonly events = new Map<string, EventResource[]>();
  readonly heartbeats = new Map<string, HeartbeatResource[]>();
  readonly commands = new Map<string, CommandResource>();
  readonly workflowJobs = new Map<string, WorkflowJobResource>();
  readonly drains = new ScriptedDrains(this.vms, time, { reply, problem });
  github: GitHubResource = makeGitHub();
  runners: RunnerRowResource[] = [];
  readonly requests: Request[] = [];
  intercept: Interceptor = () => false;
  /** State of a command that was just submitted. */
  firstState: CommandState = 'queued';
  pageSize = 1_000;
  private readonly byKey = new Map<string, string>();
  private server: Server | undefined;
  private port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The second time it listens where it listened before. */
  async start(): Promise<this> {
    const server = createServer((request, response) => void this.handle(request, response));
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
    return this;
  }

  /** Like kill -9: connections end at once. */
  async stop(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (server === undefined) return;
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  }

  addVm(vmId: string, fields: Partial<VmResource> = {}): void {
    this.vms.set(vmId, makeVm(vmId, fields));
  }

  changeVm(vmId: string, fields: Partial<VmResource>): void {
    this.vms.set(vmId, { ...(this.vms.get(vmId) ?? makeVm(vmId)), ...fields });
  }

  addCommand(id: string, vmId: string, fields: Partial<CommandResource> = {}): void {
    this.commands.set(id, {
      id,
      vm_id: vmId,
      type: 'drain',
      parameters: {},
      state: this.firstState,
      attempts: 0,
      created_at: time(60_000),
      created_by: 'operator',
      delivery_deadline_at: time(-3_600_000),
      execution_deadline_at: time(-7_200_000),
      ...fields,
    });
  }

  addWorkflowJob(id: string, fields: Partial<WorkflowJobResource> = {}): void {
    this.workflowJobs.set(id, {
      id,
      run_attempt: 1,
      run_id: `10${id}`,
      name: 'build',
      workflow_name: 'CI',
      repository: 'acme/app',
      org: 'acme',
      head_branch: 'main',
      head_sha: '0123456789abcdef',
      labels: ['self-hosted', 'linux'],
      status: 'queued',
      created_at: time(300_000),
      first_seen_at: time(299_000),
      updated_at: time(60_000),
      queued_ms: 300_000,
      ...fields,
    });
  }

  /** Changes the newest command of a VM. */
  changeCommandOf(vmId: string, fields: Partial<CommandResource>): void {
    const command = [...this.commands.values()].filter(({ vm_id }) => vm_id === vmId).at(-1);
    if (command === undefined) throw new Error(`no command for ${vmId}`);
    this.commands.set(command.id, { ...command, ...fields });
  }

  addEvent(vmId: string, id: string, type: string, data: Record<string, string> = {}): void {
    const events = this.events.get(vmId) ?? [];
    const at = time(60_000);
    const fields = {
      pool_id: 'linux',
      org_id: 'acme',
      boot_id: 'boot-1',
      sequence: events.length + 1,
      via: 'grpc' as const,
    };
    this.events.set(vmId, [
      ...events,
      { id, type, vm_id: vmId, data, timestamp: at, received_at: at, ...fields },
    ]);
    this.changeVm(vmId, { last_event_id: id });
  }

  /** The bodies of all submissions, by VM. */
  submissions(): Record<string, unknown> {
    const posts = this.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/commands'));
    return Object.fromEntries<unknown>(posts.map(({ path, body }) => [path.split('/')[4] ?? '', body]));
  }

  private async handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of incoming) text += String(chunk);
    const url = new URL(incoming.url ?? '/', this.url);
    const key = incoming.headers['idempotency-key'];
    const request: Request = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
      key: Array.isArray(key) ? key[0] : key,
    };
    this.requests.push(request);
    if (!this.intercept(request, response)) this.answer(request, response);
  }

  private answer({ method, path, query, body, key }: Request, response: ServerResponse): void {
    const [, , , kind = '', id = '', part] = path.split('/').map(decodeURIComponent);
    const limit = Number(query.get('limit') ?? 100);
    if (path === '/health') return reply(response, 200, { status: 'ok', version: '9.9.9' });
    if (kind === 'vms' && id === '') return this.listVms(query, response);
    if (kind === 'commands' && id === '') return this.listCommands(query, response);
    if (kind === 'commands') return this.oneCommand(method, id, response);
    if (kind === 'workflow-jobs') return this.answerWorkflowJobs(id, query, response);
    if (kind === 'drains') return this.drains.answer({ method, query, body, key }, id, response);
    if (kind === 'github') return this.answerGitHub(id, query, response);
    if (kind !== 'vms') return reply(response, 404, { error: 'no such route' });
    const vm = this.vms.get(id);
    if (vm === undefined) {
      return problem(
        response,
        404,
        'unknown-vm',
        `VM ${id} has never been seen by this controller: check the name with "migctl get vms"`,
      );
    }
    switch (part) {
      case undefined:
        return reply(response, 200, vmSchema.parse(vm));
      case 'events': {
        const all = this.events.get(id) ?? [];
        const after = query.get('after');
        const events =
          after === null ? all.slice(-limit) : all.filter((event) => event.id > after).slice(0, limit);
        return reply(response, 200, eventListSchema.parse({ events }));
      }
      case 'heartbeats':
        return reply(
          response,
          200,
          heartbeatListSchema.parse({ heartbeats: (this.heartbeats.get(id) ?? []).slice(-limit) }),
        );
      case 'cordon':
      case 'uncordon':
        return this.drains.cordon(vm, part, body, response);
      default:
        return this.submit(id, body as { type: 'drain'; parameters: Record<string, string> }, key, response);
    }
  }

  private answerGitHub(part: string, query: URLSearchParams, response: ServerResponse): void {
    if (part === '') return reply(response, 200, githubSchema.parse(this.github));
    const runners = this.runners.filter(
      ({ vm, finding }) =>
        (query.get('vm_id') ?? vm?.vm_id) === vm?.vm_id &&
        (query.get('findings') ?? String(finding !== null)) === String(finding !== null),
    );
    reply(response, 200, runnerListSchema.parse({ runners }));
  }

  private listVms(query: URLSearchParams, response: ServerResponse): void {
    const wanted = [...this.vms.values()].filter(
      (vm) =>
        vm.pool_id === (query.get('pool_id') ?? vm.pool_id) &&
        vm.liveness === (query.get('liveness') ?? vm.liveness) &&
        String(vm.eligible) === (query.get('eligible') ?? String(vm.eligible)) &&
        stateMatches(vm.state, query.get('state') ?? vm.state),
    );
    const from = Number(query.get('cursor') ?? 0);
    const to = from + this.pageSize;
    const more = to < wanted.length ? { next_cursor: String(to) } : {};
    reply(response, 200, vmListSchema.parse({ vms: wanted.slice(from, to), ...more }));
  }

  private listCommands(query: URLSearchParams, response: ServerResponse): void {
    const commands = [...this.commands.values()].filter(
      (command) =>
        command.vm_id === (query.get('vm_id') ?? command.vm_id) &&
        command.state === (query.get('state') ?? command.state),
    );
    reply(response, 200, commandListSchema.parse({ commands }));
  }

  private answerWorkflowJobs(id: string, query: URLSearchParams, response: ServerResponse): void {
    if (id !== '') {
      const job = this.workflowJobs.get(id);
      return job === undefined
        ? problem(response, 404, 'unknown-workflow-job', `workflow job ${id} is not known`)
        : reply(response, 200, workflowJobSchema.parse(job));
    }
    const status = query.get('status');
    const wanted = [...this.workflowJobs.values()].filter(
      (job) =>
        (status === null || (status === 'open' ? job.status !== 'completed' : job.status === status)) &&
        job.repository === (query.get('repository') ?? job.repository) &&
        (query.get('vm_id') ?? job.vm_id) === job.vm_id,
    );
    const from = Number(query.get('cursor') ?? 0);
    const to = from + this.pageSize;
    const more = to < wanted.length ? { next_cursor: String(to) } : {};
    reply(response, 200, workflowJobListSchema.parse({ workflow_jobs: wanted.slice(from, to), ...more }));
  }

  private oneCommand(method: string, id: string, response: ServerResponse): void {
    const command = this.commands.get(id);
    if (command === undefined) return problem(response, 404, 'unknown-command', `command ${id} is not known`);
    if (method === 'DELETE') {
      if (command.state !== 'queued') {
        return problem(
          response,
          409,
          'not-cancellable',
          `command ${id} is ${command.state}: only what the VM has not yet taken can be cancelled`,
        );
      }
      this.commands.set(id, { ...command, state: 'cancelled' });
    }
    reply(response, 200, commandSchema.parse(this.commands.get(id)));
  }

  private submit(
    vmId: string,
    body: { type: CommandResource['type']; parameters: CommandResource['parameters'] },
    key: string | undefined,
    response: ServerResponse,
  ): void {
    const before = key === undefined ? undefined : this.byKey.get(key);
    const id = before ?? `cmd-${this.commands.size + 1}`;
    if (before === undefined) this.addCommand(id, vmId, { ...body, created_at: time(0) });
    if (key !== undefined) this.byKey.set(key, id);
    reply(response, 202, commandSchema.parse(this.commands.get(id)));
  }
}

function reply(response: ServerResponse, status: number, body: unknown, type = 'application/json'): void {
  response.writeHead(status, { 'content-type': type }).end(JSON.stringify(body));
}

export const problem = (response: ServerResponse, status: number, code: string, detail: string): void =>
  reply(
    response,
    status,
    { type: `urn:mig:problem:${code}`, title: code, status, detail },
    'application/problem+json',
  );
