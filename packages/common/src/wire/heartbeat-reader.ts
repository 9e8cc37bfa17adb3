/**
 * Reads heartbeats, which are nearly all that a fleet says, without making anything of them that is known already.
 *
 * A heartbeat is like the one before it but for a few numbers: a text whose bytes are those of the last one is that text, a
 * runner or a job that says the same as the last one is that object, and the numbers go into one object that the next heartbeat
 * overwrites. What is not of the plain form (another message, groups, numbers beyond 2^53, lengths that lie) is not read here but
 * by `decodeMigletMessage`, which says what is wrong with it; what is read here, that would read the same.
 */
import type { HeartbeatMessage } from '../domain/messages.js';
import type { JobStatus, RunnerStatus, VmHealth, VmIdentity, VmReport } from '../domain/vm.js';
import { finite, fromSeconds, jobStatusOf, runnerStateOf } from './report.js';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Whose stream it is: what its heartbeats say of that is expected to be this. */
export interface Speaker extends VmIdentity {
  readonly bootId: string;
}

const NOBODY: Speaker = { vmId: '', poolId: '', orgId: '', bootId: '' };
const NO_REPORT: VmReport = {
  state: '',
  stateReason: '',
  health: undefined,
  runner: undefined,
  currentJob: undefined,
};
const NO_RUNNER: RunnerStatus = { state: 'offline', configured: false, name: '', labels: [] };
const NO_JOB: JobStatus = {
  jobId: '',
  runId: '',
  name: '',
  repository: '',
  branch: '',
  commit: '',
  status: 'running',
  startedAt: 0,
};

/** A number that is no length and no value: what stands there is not read here. */
const BAD = -1;
const VARINT = 0;
const BIT64 = 1;
const BYTES = 2;
const BIT32 = 5;

export class HeartbeatReader {
  readonly #health: Writable<VmHealth> = {
    cpuUsagePercent: 0,
    memoryUsagePercent: 0,
    diskUsagePercent: 0,
    memoryTotalBytes: 0,
    memoryUsedBytes: 0,
    diskTotalBytes: 0,
    diskUsedBytes: 0,
  };
  readonly #report: Writable<VmReport> = { ...NO_REPORT };
  /** What was read last. The next one overwrites it, and its health: who keeps something of it copies that. */
  readonly message: Writable<HeartbeatMessage> = { ...NOBODY, at: 0, intervalMs: 0, report: this.#report };
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Eight bytes as the number that they are. */
  readonly #eight = new Uint8Array(8);
  readonly #double = new Float64Array(this.#eight.buffer);

  /**
   * Reads a message of a MIGlet: `bytes` from `start` to `end`.
   *
   * @param last what the speaker's last heartbeat said
   * @returns false if it is not a heartbeat of the plain form; then `message` says nothing
   */
  read(bytes: Buffer, start: number, end: number, speaker: Speaker, last: VmReport = NO_REPORT): boolean {
    if (end - start < 2 || bytes[start] !== 0x22) return false;
    this.#bytes = bytes;
    this.#at = start + 1;
    return this.#length(end) === end && this.#readHeartbeat(end, speaker, last);
  }

  #readHeartbeat(end: number, speaker: Speaker, last: VmReport): boolean {
    const { message } = this;
    const report = this.#report;
    message.vmId = message.poolId = message.orgId = message.bootId = '';
    message.at = message.intervalMs = 0;
    report.state = report.stateReason = '';
    report.health = report.runner = report.currentJob = undefined;
    while (this.#at < end) {
      const tag = this.#tag(end);
      if (tag === BAD) return false;
      switch (tag) {
        case 0x0a:
        case 0x12:
        case 0x1a:
        case 0x42:
        case 0xa2:
        case 0xaa: {
          const textEnd = this.#length(end);
          if (textEnd === BAD) return false;
          if (tag === 0x0a) message.vmId = this.#text(textEnd, speaker.vmId);
          else if (tag === 0x12) message.poolId = this.#text(textEnd, speaker.poolId);
          else if (tag === 0x1a) message.orgId = this.#text(textEnd, speaker.orgId);
          else if (tag === 0x42) report.state = this.#text(textEnd, last.state);
          else if (tag === 0xa2) message.bootId = this.#text(textEnd, speaker.bootId);
          else report.stateReason = this.#text(textEnd, last.stateReason);
          break;
        }
        case 0x22:
          if (!this.#readHealth(this.#length(end))) return false;
          report.health = this.#health;
          break;
        case 0x2a: {
          const runner = this.#readRunner(this.#length(end), last.runner ?? NO_RUNNER);
          if (runner === undefined) return false;
          report.runner = runner === NO_RUNNER ? { ...NO_RUNNER } : runner;
          break;
        }
        case 0x32: {
          const job = this.#readJob(this.#length(end), last.currentJob ?? NO_JOB);
          if (job === undefined) return false;
          report.currentJob = job.jobId === '' ? undefined : job;
          break;
        }
        case 0x38: {
          const seconds = this.#varint(end);
          if (seconds === BAD) return false;
          message.at = fromSeconds(seconds);
          break;
        }
        case 0xb0: {
          const intervalMs = this.#varint(end);
          if (intervalMs === BAD) return false;
          message.intervalMs = intervalMs;
          break;
        }
        default:
          if (!this.#skip(tag, end)) return false;
      }
    }
    return true;
  }

  #readHealth(end: number): boolean {
    if (end === BAD) return false;
    const health = this.#health;
    health.cpuUsagePercent = health.memoryUsagePercent = health.diskUsagePercent = 0;
    health.memoryTotalBytes = health.memoryUsedBytes = health.diskTotalBytes = health.diskUsedBytes = 0;
    while (this.#at < end) {
      const tag = this.#tag(end);
      switch (tag) {
        case 0x09:
        case 0x11:
        case 0x19: {
          if (this.#at + 8 > end) return false;
          const value = this.#readDouble();
          if (tag === 0x09) health.cpuUsagePercent = value;
          else if (tag === 0x11) health.memoryUsagePercent = value;
          else health.diskUsagePercent = value;
          break;
        }
        case 0x20:
        case 0x28:
        case 0x30:
        case 0x38: {
          const value = this.#varint(end);
          if (value === BAD) return false;
          if (tag === 0x20) health.memoryTotalBytes = value;
          else if (tag === 0x28) health.memoryUsedBytes = value;
          else if (tag === 0x30) health.diskTotalBytes = value;
          else health.diskUsedBytes = value;
          break;
        }
        default:
          if (!this.#skip(tag, end)) return false;
      }
    }
    return true;
  }

  /** @returns `last` if it says the same */
  #readRunner(end: number, last: RunnerStatus): RunnerStatus | undefined {
    if (end === BAD) return undefined;
    let state: RunnerStatus['state'] = 'offline';
    let name = '';
    let configured = false;
    let labelCount = 0;
    /** Undefined = so far they are those of `last`. */
    let labels: string[] | undefined;
    while (this.#at < end) {
      const tag = this.#tag(end);
      switch (tag) {
        case 0x0a:
        case 0x1a:
        case 0x22: {
          const textEnd = this.#length(end);
          if (textEnd === BAD) return undefined;
          if (tag === 0x0a) state = runnerStateOf(this.#text(textEnd, last.state));
          else if (tag === 0x1a) name = this.#text(textEnd, last.name);
          else {
            const known = last.labels[labelCount];
            const label = this.#text(textEnd, known ?? '');
            if (label !== known) labels ??= last.labels.slice(0, labelCount);
            labels?.push(label);
            labelCount += 1;
          }
          break;
        }
        case 0x10: {
          const value = this.#varint(end);
          if (value === BAD) return undefined;
          configured = value !== 0;
          break;
        }
        default:
          if (!this.#skip(tag, end)) return undefined;
      }
    }
    if (labels === undefined && labelCount !== last.labels.length) labels = last.labels.slice(0, labelCount);
    const isSame =
      labels === undefined && state === last.state && name === last.name && configured === last.configured;
    return isSame ? last : { state, configured, name, labels: labels ?? last.labels };
  }

  /** @returns `last` if it says the same */
  #readJob(end: number, last: JobStatus): JobStatus | undefined {
    if (end === BAD) return undefined;
    let { jobId, runId, repository, branch, commit, name } = NO_JOB;
    let status: JobStatus['status'] = 'running';
    let startedAt = 0;
    while (this.#at < end) {
      const tag = this.#tag(end);
      switch (tag) {
        case 0x0a:
        case 0x12:
        case 0x1a:
        case 0x22:
        case 0x2a:
        case 0x32:
        case 0xa2: {
          const textEnd = this.#length(end);
          if (textEnd === BAD) return undefined;
          if (tag === 0x0a) jobId = this.#text(textEnd, last.jobId);
          else if (tag === 0x12) runId = this.#text(textEnd, last.runId);
          else if (tag === 0x1a) repository = this.#text(textEnd, last.repository);
          else if (tag === 0x22) branch = this.#text(textEnd, last.branch);
          else if (tag === 0x2a) commit = this.#text(textEnd, last.commit);
          else if (tag === 0x32) status = jobStatusOf(this.#text(textEnd, last.status));
          else name = this.#text(textEnd, last.name);
          break;
        }
        case 0x38: {
          const seconds = this.#varint(end);
          if (seconds === BAD) return undefined;
          startedAt = fromSeconds(seconds);
          break;
        }
        default:
          if (!this.#skip(tag, end)) return undefined;
      }
    }
    const isSame =
      jobId === last.jobId &&
      runId === last.runId &&
      name === last.name &&
      repository === last.repository &&
      branch === last.branch &&
      commit === last.commit &&
      status === last.status &&
      startedAt === last.startedAt;
    return isSame ? last : { jobId, runId, name, repository, branch, commit, status, startedAt };
  }

  /** Of one or two bytes: the contract has none that is longer. */
  #tag(end: number): number {
    const low = this.#bytes[this.#at] ?? 0;
    if (low < 0x80) {
      this.#at += 1;
      return low;
    }
    const high = this.#bytes[this.#at + 1] ?? 0;
    if (high >= 0x80 || this.#at + 2 > end) return BAD;
    this.#at += 2;
    return (low & 0x7f) | (high << 7);
  }

  /** @returns where what follows ends, within `end` */
  #length(end: number): number {
    const low = this.#bytes[this.#at] ?? 0;
    const length = low < 0x80 ? low : this.#varint(end);
    if (low < 0x80) this.#at += 1;
    const last = this.#at + length;
    return length === BAD || last > end ? BAD : last;
  }

  /** Up to 2^53 - 1; larger ones, and those less than 0, are not read here. */
  #varint(end: number): number {
    let value = 0;
    let factor = 1;
    for (let count = 0; count < 8; count += 1) {
      if (this.#at >= end) return BAD;
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value <= Number.MAX_SAFE_INTEGER ? value : BAD;
      factor *= 128;
    }
    return BAD;
  }

  #readDouble(): number {
    const bytes = this.#bytes;
    const at = this.#at;
    for (let index = 0; index < 8; index += 1) this.#eight[index] = bytes[at + index] ?? 0;
    this.#at = at + 8;
    return finite(this.#double[0] ?? 0);
  }

  /** @param known what it is expected to be: then nothing is made */
  #text(end: number, known: string): string {
    const bytes = this.#bytes;
    const start = this.#at;
    this.#at = end;
    if (end - start === known.length) {
      let index = 0;
      while (start + index < end) {
        const byte = bytes[start + index] ?? 0;
        if (byte !== known.charCodeAt(index) || byte >= 0x80) break;
        index += 1;
      }
      if (start + index === end) return known;
    }
    const text = bytes.toString('utf8', start, end);
    return text === known ? known : text;
  }

  /** A field that is not known. */
  #skip(tag: number, end: number): boolean {
    if (tag === BAD || tag === 0) return false;
    switch (tag & 7) {
      case VARINT: {
        const from = this.#at;
        while (this.#at < end && (this.#bytes[this.#at] ?? 0) >= 0x80) this.#at += 1;
        this.#at += 1;
        return this.#at <= end && this.#at > from;
      }
      case BIT64:
        this.#at += 8;
        return this.#at <= end;
      case BIT32:
        this.#at += 4;
        return this.#at <= end;
      case BYTES: {
        const last = this.#length(end);
        if (last === BAD) return false;
        this.#at = last;
        return true;
      }
      default:
        return false;
    }
  }
}
