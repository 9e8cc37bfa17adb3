/** Records for tests: one of each kind, with whatever fields a test cares about. */
import type { CommandRecord } from '@mig/common/domain/command';
import type { DrainRecord, DrainVm } from '@mig/common/domain/drain';
import type { VmEvent } from '@mig/common/domain/event';
import type { VmRecord, VmReport } from '@mig/common/domain/vm';
import type { WorkflowJob } from '@mig/common/domain/workflow-job';
import { TEST_START } from '../../../common/src/manual-clock.contract.js';

export const vmRecord = (fields: Partial<VmRecord> = {}): VmRecord => ({
  vmId: 'vm-1',
  poolId: 'pool-a',
  orgId: 'acme',
  bootId: 'boot-1',
  version: '0.1.0',
  state: 'ready.idle',
  stateReason: '',
  health: undefined,
  runner: undefined,
  currentJob: undefined,
  labels: [],
  firstSeenAt: TEST_START,
  lastSeenAt: TEST_START,
  lastHeartbeatAt: undefined,
  outcome: undefined,
  cordon: undefined,
  loss: undefined,
  fencedRunner: undefined,
  runnerNames: [],
  platform: undefined,
  ...fields,
});

export const commandRecord = (fields: Partial<CommandRecord> = {}): CommandRecord => ({
  id: 'cmd-1',
  vmId: 'vm-1',
  type: 'set_log_level',
  parameters: { level: 'debug' },
  state: 'queued',
  sequence: 1,
  attempts: 0,
  createdAt: TEST_START,
  createdBy: 'operator',
  forBoot: undefined,
  deliveryDeadlineAt: TEST_START + 3_600_000,
  executionDeadlineAt: TEST_START + 3_900_000,
  idempotencyKey: undefined,
  sentAt: undefined,
  sentToBoot: undefined,
  receivedAt: undefined,
  finishedAt: undefined,
  supersededBy: undefined,
  message: undefined,
  result: undefined,
  ...fields,
});

export const drainRecord = (fields: Partial<DrainRecord> = {}): DrainRecord => ({
  id: 'drain-1',
  selector: { vmIds: ['vm-1', 'vm-2'] },
  reason: 'a new image',
  createdBy: 'operator',
  createdAt: TEST_START,
  deadlineMs: 3_600_000,
  force: false,
  maxUnavailable: undefined,
  then: 'keep',
  state: 'active',
  finishedAt: undefined,
  idempotencyKey: undefined,
  vms: ['vm-1', 'vm-2'].map((vmId) => drainVm({ vmId })),
  ...fields,
});

export const drainVm = (fields: Partial<DrainVm> = {}): DrainVm => ({
  vmId: 'vm-1',
  bootId: 'boot-1',
  state: 'waiting',
  commandId: undefined,
  shutdownCommandId: undefined,
  startedAt: undefined,
  finishedAt: undefined,
  message: undefined,
  ...fields,
});

export const workflowJob = (fields: Partial<WorkflowJob> = {}): WorkflowJob => ({
  id: '2832853555',
  runAttempt: 1,
  runId: '940463255',
  name: 'Test workflow',
  workflowName: 'CI',
  repository: 'acme/app',
  org: 'acme',
  headBranch: 'main',
  headSha: 'e3103f8eb03e1ad7f2331c5446b23c070fc54055',
  labels: ['gpu'],
  status: 'queued',
  conclusion: undefined,
  runnerId: undefined,
  runnerName: undefined,
  runnerGroupName: undefined,
  createdAt: TEST_START,
  startedAt: undefined,
  completedAt: undefined,
  firstSeenAt: TEST_START,
  updatedAt: TEST_START,
  deliveries: ['guid-1'],
  said: { name: 'queued' },
  ...fields,
});

export const vmEvent = (fields: Partial<VmEvent> = {}): VmEvent => ({
  vmId: 'vm-1',
  poolId: 'pool-a',
  orgId: 'acme',
  type: 'job_started',
  data: { job_id: '7' },
  at: TEST_START,
  bootId: 'boot-1',
  sequence: 0,
  ...fields,
});

export const vmReport = (fields: Partial<VmReport> = {}): VmReport => ({
  state: 'ready.idle',
  stateReason: '',
  health: {
    cpuUsagePercent: 5,
    memoryUsagePercent: 50,
    diskUsagePercent: 25,
    memoryTotalBytes: 8_000,
    memoryUsedBytes: 4_000,
    diskTotalBytes: 100_000,
    diskUsedBytes: 25_000,
  },
  runner: { state: 'idle', configured: true, name: 'vm-1', labels: ['gpu'] },
  currentJob: undefined,
  ...fields,
});
