/** Evidence of a small run in which every promise held: what a test breaks. */
import type { CommandResource } from '@mig/common/api/command-resource';
import type { DrainResource } from '@mig/common/api/drain-resource';
import type { EventResource } from '@mig/common/api/history-resource';
import type { VmResource } from '@mig/common/api/vm-resource';
import type { Job } from '../../github/job.js';
import type { RunnerResource } from '../../github/runner-resource.js';
import type { ToldCommand } from '../caller.js';
import type { Evidence } from '../evidence.js';
import type { Life } from '../service.js';
import type { VmHistory, VmLife } from '../vm-history.js';

export const BOOT = '11111111-aaaa-4aaa-8aaa-aaaaaaaaaaaa';
export const VM = 'vm-1';
export const RUNNER = 'mig-c4fe-vm-1-11111111';
/** A moment in the run, so many seconds after its beginning. */
export const at = (seconds: number): number => Date.UTC(2026, 10, 21, 12, 0, seconds);
const iso = (seconds: number): string => new Date(at(seconds)).toISOString();

export const command = (id: string, fields: Partial<CommandResource> = {}): CommandResource => ({
  id,
  vm_id: VM,
  type: 'set_log_level',
  parameters: {},
  state: 'completed',
  attempts: 1,
  created_at: iso(0),
  created_by: 'operator',
  delivery_deadline_at: iso(50),
  execution_deadline_at: iso(50),
  ...fields,
});

export const told = (id: string, fields: Partial<ToldCommand> = {}): ToldCommand => ({
  n: 1,
  key: `key of ${id}`,
  vmId: VM,
  type: 'set_log_level',
  parameters: {},
  accepted: [command(id, { state: 'queued' })],
  refusal: undefined,
  cancelled: false,
  ...fields,
});

export const event = (
  sequence: number,
  type: string,
  fields: Partial<EventResource> = {},
): EventResource => ({
  id: `stamp-${sequence}`,
  type,
  vm_id: VM,
  pool_id: 'chaos',
  org_id: 'acme',
  boot_id: BOOT,
  sequence,
  data: {},
  timestamp: iso(sequence),
  received_at: iso(sequence),
  via: 'grpc',
  ...fields,
});

export const vmLife = (fields: Partial<VmLife> = {}): VmLife => ({
  number: 1,
  bootId: BOOT,
  events: [],
  askedInVain: false,
  registers: false,
  ...fields,
});

export const history = (fields: Partial<VmHistory> = {}): VmHistory => ({
  vmId: VM,
  lives: [vmLife()],
  taken: [],
  takenAt: new Map(),
  endedAt: new Map(),
  troubles: [],
  ...fields,
});

export const life = (fields: Partial<Life> = {}): Life => ({
  number: 1,
  pid: 1,
  startedAt: at(0),
  endedAt: undefined,
  code: null,
  signal: null,
  cause: undefined,
  ...fields,
});

export const job = (name: string, fields: Partial<Job> = {}): Job => ({
  id: 1,
  name,
  repository: 'acme/app',
  labels: [],
  duration_ms: 1_000,
  environment: null,
  runner_group_id: null,
  runner_group_name: null,
  run_id: 1,
  run_attempt: 1,
  status: 'completed',
  queued_at: iso(1),
  started_at: iso(2),
  completed_at: iso(3),
  runner_id: 1,
  runner_name: RUNNER,
  result: 'Succeeded',
  conclusion: 'success',
  ended_by: 'itself',
  ...fields,
});

export const drain = (id: string, fields: Partial<DrainResource> = {}): DrainResource => ({
  id,
  selector: { pool_id: 'chaos' },
  reason: 'a test',
  created_by: 'operator',
  created_at: iso(0),
  deadline_ms: 0,
  force: false,
  then: 'keep',
  state: 'completed',
  finished_at: iso(9),
  counts: { waiting: 0, draining: 0, shuttingDown: 0, done: 0, failed: 0, cancelled: 0, gone: 0 },
  vms: [],
  ...fields,
});

export const vm = (vmId: string, fields: Partial<VmResource> = {}): VmResource => ({
  vm_id: vmId,
  pool_id: 'chaos',
  org_id: 'acme',
  boot_id: BOOT,
  version: '1',
  state: 'ready.idle',
  health: null,
  runner: { state: 'idle', configured: true, runner_name: `mig-c4fe-${vmId}-11111111`, labels: [] },
  current_job: null,
  labels: [],
  first_seen_at: iso(0),
  last_seen_at: iso(0),
  last_heartbeat_at: null,
  link: 'connected',
  liveness: 'alive',
  eligible: true,
  ...fields,
});

export const runner = (name: string, fields: Partial<RunnerResource> = {}): RunnerResource => ({
  id: 1,
  name,
  os: 'linux',
  status: 'online',
  busy: false,
  labels: [],
  runner_group_id: 1,
  ephemeral: false,
  version: null,
  ...fields,
});

export const evidence = (fields: Partial<Evidence> = {}): Evidence => ({
  toldCommands: [],
  toldDrains: [],
  queuedJobs: [],
  complaints: [],
  commands: [],
  drains: [],
  vms: [],
  events: new Map(),
  histories: [history()],
  simulatedTaken: new Map(),
  jobs: [],
  runners: [],
  sightings: {
    illegalCommands: [],
    illegalVms: [],
    overDrained: [],
    maxConnected: 0,
    count: 0,
    peak: { residentBytes: 0, openFiles: 0 },
  },
  lives: new Map(),
  injected: [],
  controllerTroubles: [],
  ...fields,
});
