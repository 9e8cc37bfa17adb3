/** Heartbeats on the wire: health, runner, job. Times are unix seconds there. */
import type { Heartbeat, JobInfo, RunnerState, VMHealth } from '../gen/commands.js';
import type { HeartbeatMessage } from '../domain/messages.js';
import type { JobStatus, RunnerStatus, VmHealth } from '../domain/vm.js';

export const toSeconds = (epochMs: number): number => Math.floor(epochMs / 1000);
export const fromSeconds = (seconds: number): number => seconds * 1000;

export function toWireHeartbeat(heartbeat: HeartbeatMessage): Heartbeat {
  const { report } = heartbeat;
  return {
    vmId: heartbeat.vmId,
    poolId: heartbeat.poolId,
    orgId: heartbeat.orgId,
    health: report.health,
    runnerState: report.runner && toWireRunner(report.runner),
    currentJob: report.currentJob && toWireJob(report.currentJob),
    timestamp: toSeconds(heartbeat.at),
    migletState: report.state,
    bootId: heartbeat.bootId,
    stateReason: report.stateReason,
    intervalMs: heartbeat.intervalMs,
  };
}

export function fromWireHeartbeat(wire: Heartbeat): HeartbeatMessage {
  return {
    vmId: wire.vmId,
    poolId: wire.poolId,
    orgId: wire.orgId,
    bootId: wire.bootId,
    at: fromSeconds(wire.timestamp),
    intervalMs: wire.intervalMs,
    report: {
      state: wire.migletState,
      stateReason: wire.stateReason,
      health: wire.health && fromWireHealth(wire.health),
      runner: wire.runnerState && fromWireRunner(wire.runnerState),
      currentJob: wire.currentJob && wire.currentJob.jobId !== '' ? fromWireJob(wire.currentJob) : undefined,
    },
  };
}

/** A number that is none (NaN, infinity) becomes 0: it must not reach JSON, which has no word for it. */
export const finite = (value: number): number => (Number.isFinite(value) ? value : 0);

const fromWireHealth = (wire: VMHealth): VmHealth => ({
  cpuUsagePercent: finite(wire.cpuUsagePercent),
  memoryUsagePercent: finite(wire.memoryUsagePercent),
  diskUsagePercent: finite(wire.diskUsagePercent),
  memoryTotalBytes: wire.memoryTotalBytes,
  memoryUsedBytes: wire.memoryUsedBytes,
  diskTotalBytes: wire.diskTotalBytes,
  diskUsedBytes: wire.diskUsedBytes,
});

const toWireRunner = (runner: RunnerStatus): RunnerState => ({
  state: runner.state,
  configured: runner.configured,
  runnerName: runner.name,
  labels: [...runner.labels],
});

/** A word that is none of ours: the runner is not there. */
export const runnerStateOf = (word: string): RunnerStatus['state'] =>
  word === 'idle' || word === 'running' ? word : 'offline';

const fromWireRunner = (wire: RunnerState): RunnerStatus => ({
  state: runnerStateOf(wire.state),
  configured: wire.configured,
  name: wire.runnerName,
  labels: wire.labels,
});

const toWireJob = (job: JobStatus): JobInfo => ({ ...job, startedAt: toSeconds(job.startedAt) });

/** A word that is none of ours: it runs. */
export const jobStatusOf = (word: string): JobStatus['status'] =>
  word === 'completed' || word === 'failed' ? word : 'running';

const fromWireJob = (wire: JobInfo): JobStatus => ({
  jobId: wire.jobId,
  runId: wire.runId,
  name: wire.name,
  repository: wire.repository,
  branch: wire.branch,
  commit: wire.commit,
  status: jobStatusOf(wire.status),
  startedAt: fromSeconds(wire.startedAt),
});
