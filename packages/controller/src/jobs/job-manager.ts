/**
 * The jobs, from their submission to their end.
 *
 *   submit -> store (I1) -> queue -> offer -> claim -> store -> the node runs it -> status -> store
 *
 * A claim is decided in memory, at once, and durable before its node is told: exactly one node has a job at a time, whatever is
 * asked at the same time and whatever crashes. What a node says of a job that is no longer its own is refused.
 */
import { backoffDelayMs } from '@mig/common/backoff';
import type { Clock } from '@mig/common/clock';
import { nextRun } from '@mig/common/domain/cron';
import { newId } from '@mig/common/domain/ids';
import type { JobRecord, JobSpec } from '@mig/common/domain/job';
import { isJobFinal, isOnNode } from '@mig/common/domain/job-state';
import type {
  HeartbeatAnswer,
  JobOffer,
  NodeAndJob,
  NodeAnswer,
  NodeHeartbeat,
  StatusUpdate,
} from '@mig/common/domain/node-messages';
import { errorMessage, printable } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { OutputStore } from '../tasks/output-store.js';
import { createDependencies } from './dependencies.js';
import { BadJobError, JobEndedError, TooManyJobsError } from './errors.js';
import { isOpenTo, refusal, toRequirement } from './fit.js';
import type { JobBook, JobFilter } from './job-book.js';
import { createJobOutputs, type JobOutputs } from './job-outputs.js';
import { createJobQueue, type QueuedJob } from './job-queue.js';
import { createNodes, type Node } from './nodes.js';
import { toOffer } from './offer.js';
import { hasBetter, type Strategy } from './placement.js';
import { explain, type Why } from './why.js';

export interface NewJob {
  readonly spec: JobSpec;
  readonly submitter: string;
  /** In which it may run; undefined = in every one. */
  readonly pools?: readonly string[] | undefined;
  readonly idempotencyKey?: string | undefined;
}

export interface JobManager {
  /** Durable when it resolves (I1). @throws BadJobError, TooManyJobsError, StoreUnavailableError */
  submit(job: NewJob): Promise<JobRecord>;
  /** What keeps it from being submitted, beyond what the specification says by itself. */
  faultsOf(spec: JobSpec, pools: readonly string[] | undefined): { path: string; message: string }[];
  get(id: string): JobRecord;
  list(filter: JobFilter): JobRecord[];
  /** Those that it made are cancelled with it. @throws UnknownJobError, JobEndedError */
  cancel(id: string): Promise<JobRecord>;
  why(id: string): Why;
  nodes(): readonly Node[];
  readonly outputs: JobOutputs;

  /** @param poolId of the node's credential, or as the fleet knows it; empty = neither says */
  heartbeat(heartbeat: NodeHeartbeat, poolId: string): HeartbeatAnswer;
  offer(nodeId: string): JobOffer;
  claim(claim: NodeAndJob): Promise<NodeAnswer>;
  update(update: StatusUpdate): Promise<NodeAnswer>;

  /** Once a second. */
  sweep(): void;
}

export interface JobManagerDeps {
  readonly book: JobBook;
  readonly outputs: OutputStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

export interface JobManagerOptions {
  readonly agingMs: number;
  readonly offlineAfterMs: number;
  readonly forgetNodesAfterMs: number;
  readonly placement: Strategy;
  /** A job is left for a better node so long. */
  readonly placementWaitMs: number;
  /** A claimed job that is not begun in this time goes back into the queue. */
  readonly claimTimeoutMs: number;
  /** A running job of which a node that does not list its jobs says nothing for so long is tried again; 0 = never. */
  readonly forgottenAfterMs: number;
  readonly maxOpen: number;
}

/** A job that was offered to a node is offered to no other for so long; claimed it can be by any. */
const OFFER_HOLD_MS = 3_000;
/** A node may have been told of a claim so long after its heartbeat was written. */
const CLAIM_UNDER_WAY_MS = 10_000;
/** A node begins what it has claimed well within this. */
const FORGOTTEN_MS = 5_000;
const OK: NodeAnswer = { ok: true, message: '' };
const no = (message: string): NodeAnswer => ({ ok: false, message });

export function createJobManager(deps: JobManagerDeps, options: JobManagerOptions): JobManager {
  const { book, clock, logger } = deps;
  const queue = createJobQueue(options.agingMs);
  const nodes = createNodes(clock, {
    offlineAfterMs: options.offlineAfterMs,
    forgetAfterMs: options.forgetNodesAfterMs,
  });
  const outputs = createJobOutputs(deps.outputs, clock);
  const dependencies = createDependencies(book);
  const offered = new Map<string, { readonly nodeId: string; readonly untilMs: number }>();
  const waiting = new Set<string>();
  const templates = new Set<string>();
  /** What was said before is not known any more. */
  const managedSince = clock.now();
  /** When a node last said something of a job that it has. */
  const heardAt = new Map<string, number>();
  /** Jobs of a system job, by node. */
  const perNode = new Map<string, Set<string>>();

  function restore(): void {
    for (const job of book.list({})) {
      track(job);
      if (isOnNode(job.state) && job.nodeId !== undefined)
        nodes.take(nodes.enter(job.nodeId), job.id, job.spec.resources);
    }
  }

  /** Puts the job where its state says that it belongs. */
  function track(job: JobRecord): void {
    const { id, state } = job;
    if (state === 'queued') queue.add(job);
    else queue.remove(id);
    if (state === 'waiting') waiting.add(id);
    else waiting.delete(id);
    if (state === 'active') templates.add(id);
    else templates.delete(id);
    if (job.parentId !== undefined && job.onlyNode !== undefined) {
      const made = perNode.get(job.parentId) ?? new Set();
      perNode.set(job.parentId, made.add(job.onlyNode));
    }
  }

  async function move(id: string, fields: Partial<JobRecord>, type: string, message = ''): Promise<void> {
    const before = book.get(id);
    const saved = book.change(id, fields, { type, nodeId: fields.nodeId ?? before.nodeId ?? '', message });
    const after = book.get(id);
    if (isOnNode(before.state) && !isOnNode(after.state) && before.nodeId !== undefined)
      nodes.give(before.nodeId, id, before.spec.resources);
    track(after);
    logger.info(
      { event: `job_${type}`, jobId: id, nodeId: after.nodeId, state: after.state, reason: message },
      'a job moved',
    );
    if (!isOnNode(after.state)) heardAt.delete(id);
    if (isJobFinal(after.state)) void outputs.finish(id);
    await saved;
  }

  /** For what nobody waits for; what cannot be stored now is stored by the sweep. */
  function moveSoon(...change: Parameters<typeof move>): void {
    move(...change).catch((error: unknown) =>
      logger.warn({ jobId: change[0], reason: errorMessage(error) }, 'a job could not be stored yet'),
    );
  }

  /** Its try has come to nothing: it is tried again, or it has failed. */
  function retryOf(job: JobRecord, message: string): Parameters<typeof move> {
    const { retry, type } = job.spec;
    const { id } = job;
    if (type !== 'service' && job.attempt > retry.maxRetries)
      return [id, { state: 'failed', finishedAt: clock.now(), message }, 'failed', message];
    const backoff = { firstMs: retry.backoffMs, maxMs: retry.maxBackoffMs };
    const delayMs = backoffDelayMs(backoff, Math.max(0, job.attempt - 1), deps.random);
    const fields = { message, notBefore: clock.now() + delayMs, claimedAt: undefined, startedAt: undefined };
    return [id, { ...fields, state: 'waiting' }, 'retry', message];
  }

  function newRecord(job: NewJob, fields: Partial<JobRecord>): JobRecord {
    const nowAt = clock.now();
    return {
      id: newId('job', nowAt, deps.random),
      spec: job.spec,
      state: 'queued',
      createdAt: nowAt,
      submitter: job.submitter,
      pools: job.pools,
      queuedAt: nowAt,
      attempt: 0,
      notBefore: undefined,
      nodeId: undefined,
      claimedAt: undefined,
      startedAt: undefined,
      finishedAt: undefined,
      exitCode: undefined,
      message: undefined,
      parentId: undefined,
      onlyNode: undefined,
      waitsFor: [],
      nextRunAt: undefined,
      events: [{ at: nowAt, type: 'submitted', nodeId: '', message: '' }],
      idempotencyKey: job.idempotencyKey,
      ...fields,
    };
  }

  async function add(record: JobRecord): Promise<JobRecord> {
    await book.add(record); // I1
    track(record);
    return record;
  }

  /** A job that another makes. */
  function spawn(parent: JobRecord, fields: Partial<JobRecord>): void {
    const record = newRecord(
      { ...parent, spec: { ...parent.spec, schedule: undefined }, idempotencyKey: undefined },
      { ...fields, parentId: parent.id },
    );
    add(record).catch((error: unknown) => {
      if (fields.onlyNode !== undefined) perNode.get(parent.id)?.delete(fields.onlyNode);
      logger.error({ jobId: parent.id, reason: errorMessage(error) }, 'a job could not be made');
    });
    // At once: the next look must not make another.
    track(record);
    queue.remove(record.id);
  }

  function spawnSystemJobs(node: Node): void {
    for (const id of templates) {
      const parent = book.find(id);
      if (parent === undefined || parent.spec.type !== 'system' || perNode.get(id)?.has(node.id)) continue;
      if (toRequirement(parent).mismatch(node) === undefined) spawn(parent, { onlyNode: node.id });
    }
  }

  function runSchedule(job: JobRecord): void {
    const { schedule } = job.spec;
    if (schedule === undefined || job.nextRunAt === undefined || job.nextRunAt > clock.now()) return;
    const next = nextRun(schedule.cron, schedule.timeZone, clock.now());
    const isBusy = book.list({ parentId: job.id }).some(({ state }) => !isJobFinal(state));
    if (!isBusy) spawn(job, {});
    moveSoon(
      job.id,
      { nextRunAt: next },
      isBusy ? 'skipped' : 'due',
      isBusy ? 'the run before has not ended' : '',
    );
  }

  function lookAtWaiting(job: JobRecord): void {
    const verdict = dependencies.verdict(job);
    if (verdict.kind === 'failed') {
      moveSoon(
        job.id,
        { state: 'failed', finishedAt: clock.now(), message: verdict.reason },
        'failed',
        verdict.reason,
      );
    } else if (verdict.kind === 'met' && (job.notBefore ?? 0) <= clock.now()) {
      moveSoon(
        job.id,
        { state: 'queued', queuedAt: job.attempt === 0 ? clock.now() : job.queuedAt, notBefore: undefined },
        'queued',
      );
    }
  }

  /** Since when its node has said nothing of it. */
  const silentMs = ({ id, claimedAt = 0, startedAt = 0 }: JobRecord): number =>
    clock.now() - Math.max(claimedAt, startedAt, heardAt.get(id) ?? managedSince);

  function lookAtClaimed(node: Node): void {
    for (const id of [...node.jobIds]) {
      const job = book.find(id);
      if (job === undefined || !isOnNode(job.state)) continue;
      const sinceMs = clock.now() - (job.claimedAt ?? 0);
      const { deadlineMs } = job.spec;
      if (deadlineMs > 0 && sinceMs > deadlineMs) {
        node.toEnd.add(id);
        moveSoon(...retryOf(job, 'its deadline has passed'));
      } else if (
        options.forgottenAfterMs > 0 &&
        !node.listsJobs &&
        silentMs(job) > options.forgottenAfterMs
      ) {
        moveSoon(...retryOf(job, `node ${node.id} says nothing of it any more`));
      } else if (job.state === 'claimed' && sinceMs > options.claimTimeoutMs) {
        moveSoon(...retryOf(job, `node ${node.id} claimed it and did not begin it`));
      }
    }
  }

  /** A job that the node claimed a while ago and did not begin: it was restarted in between, and is shown it again. */
  function forgotten(node: Node): JobRecord | undefined {
    if (node.listsJobs) return undefined;
    for (const id of node.jobIds) {
      const job = book.find(id);
      if (job?.state === 'claimed' && clock.now() - (job.claimedAt ?? 0) > FORGOTTEN_MS) return job;
    }
    return undefined;
  }

  /** Has another node asked lately that suits the job better? */
  function isLeft(job: QueuedJob, node: Node, nowMs: number): boolean {
    if (clock.now() - job.queuedAt > options.placementWaitMs) return false;
    const hungry = nodes
      .all()
      .filter(
        (other) =>
          other.online &&
          !other.draining &&
          nowMs - other.hungryMs < options.placementWaitMs &&
          refusal(job.requirement, other) === undefined,
      );
    return hasBetter(options.placement, node, hungry);
  }

  restore();
  return {
    outputs,

    async submit(job) {
      const { submitter, idempotencyKey } = job;
      const before = idempotencyKey === undefined ? undefined : book.findByKey(submitter, idempotencyKey);
      if (before !== undefined) {
        await book.added(before.id); // I1
        return book.get(before.id);
      }
      if (book.openCount >= options.maxOpen) throw new TooManyJobsError(options.maxOpen);
      const resolved = dependencies.resolve(job.spec, job.pools);
      if (resolved.faults.length > 0) throw new BadJobError(resolved.faults);
      const { schedule, type } = job.spec;
      const fields: Partial<JobRecord> =
        type === 'system'
          ? { state: 'active' }
          : schedule !== undefined
            ? { state: 'active', nextRunAt: nextRun(schedule.cron, schedule.timeZone, clock.now()) }
            : resolved.ids.length > 0
              ? { state: 'waiting', waitsFor: resolved.ids }
              : {};
      const record = await add(newRecord(job, fields));
      logger.info({ event: 'job_submitted', jobId: record.id, name: job.spec.name }, 'a job was submitted');
      if (type === 'system')
        for (const node of nodes.all()) if (node.registered && node.online) spawnSystemJobs(node);
      if (record.state === 'waiting') lookAtWaiting(record);
      return book.get(record.id);
    },

    faultsOf: (spec, pools) => dependencies.resolve(spec, pools).faults,
    get: book.get,
    list: book.list,
    nodes: nodes.all,

    async cancel(id) {
      const job = book.get(id);
      if (isJobFinal(job.state)) throw new JobEndedError(job);
      if (isOnNode(job.state) && job.nodeId !== undefined) nodes.get(job.nodeId)?.toEnd.add(id);
      const ended = { state: 'cancelled' as const, finishedAt: clock.now(), message: 'cancelled' };
      const children = book.list({ parentId: id }).filter(({ state }) => !isJobFinal(state));
      await move(id, ended, 'cancelled');
      for (const child of children) {
        if (isOnNode(child.state) && child.nodeId !== undefined) nodes.get(child.nodeId)?.toEnd.add(child.id);
        moveSoon(child.id, ended, 'cancelled');
      }
      return book.get(id);
    },

    why(id) {
      const job = book.get(id);
      // Of nodes that its submitter may not use nothing is told.
      const candidates = nodes.all().filter((node) => isOpenTo(job, node));
      const why = explain(toRequirement(job), candidates);
      const summary = stateSummary(job, why.summary, dependencies.pending(job));
      return { ...why, summary };
    },

    heartbeat(heartbeat, poolId) {
      const node = nodes.heartbeat(heartbeat, poolId);
      spawnSystemJobs(node);
      if (heartbeat.listsJobs) {
        const has = new Set(heartbeat.jobIds);
        for (const id of node.toEnd) if (!has.has(id)) node.toEnd.delete(id);
        for (const id of node.jobIds) {
          const job = book.find(id);
          const isFresh = clock.now() - (job?.claimedAt ?? 0) < CLAIM_UNDER_WAY_MS;
          if (job === undefined || has.has(id) || isFresh) continue;
          moveSoon(...retryOf(job, `node ${node.id} has lost it`));
        }
        for (const id of has) if (!node.jobIds.has(id)) node.toEnd.add(id);
      }
      return { ok: true, message: '', endJobIds: [...node.toEnd] };
    },

    offer(nodeId) {
      const none = (message: string): JobOffer => ({ hasJob: false, job: undefined, message });
      const node = nodes.get(nodeId);
      if (node === undefined || !node.registered || !node.online)
        return none(
          'send a heartbeat first: this controller does not know the node, or takes it for offline',
        );
      if (node.draining) return none('the node drains');
      const own = forgotten(node);
      if (own !== undefined)
        return { hasJob: true, job: toOffer(own), message: 'this node has claimed it already' };
      const nowMs = clock.monotonicMs();
      for (const [id, hold] of offered) if (hold.untilMs <= nowMs) offered.delete(id);
      let left = 0;
      const best = queue.best(
        node,
        clock.now(),
        (submitter) => book.activeCount(submitter),
        (job) => {
          const hold = offered.get(job.id);
          if (hold !== undefined && hold.nodeId !== nodeId) return false;
          // Whom a job is left for is looked at for a few only: it costs a look at every node.
          if (left < MAX_LEFT && isLeft(job, node, nowMs)) {
            left += 1;
            return false;
          }
          return true;
        },
      );
      if (best === undefined) {
        node.hungryMs = nowMs;
        return none(queue.size === 0 ? 'no job waits' : 'no job that waits is for this node now');
      }
      offered.set(best.id, { nodeId, untilMs: nowMs + OFFER_HOLD_MS });
      return { hasJob: true, job: toOffer(book.get(best.id)), message: '' };
    },

    async claim({ nodeId, jobId }) {
      const job = book.find(jobId);
      if (job === undefined) return no(`there is no job ${printable(jobId)}`);
      if (isOnNode(job.state))
        return job.nodeId === nodeId ? OK : no(`job ${jobId} is claimed by another node`);
      if (job.state !== 'queued') return no(`job ${jobId} is ${job.state}`);
      const node = nodes.get(nodeId);
      if (node === undefined || !node.registered || !node.online) return no('send a heartbeat first');
      const queued = queue.get(jobId);
      if (queued === undefined) return no(`job ${jobId} is not to be had now`);
      const reason = refusal(queued.requirement, node);
      if (reason !== undefined) return no(`job ${jobId} is not for this node: such nodes ${reason}`);
      // From here to the first await nothing else runs: one node wins.
      nodes.take(node, jobId, job.spec.resources);
      offered.delete(jobId);
      const fields = { state: 'claimed' as const, nodeId, claimedAt: clock.now(), attempt: job.attempt + 1 };
      try {
        await move(jobId, { ...fields, message: undefined }, 'claimed');
      } catch (error) {
        // The node is not told, so nobody has it.
        nodes.give(nodeId, jobId, job.spec.resources);
        book.restore(job);
        track(job);
        throw error;
      }
      return OK;
    },

    async update(update) {
      const { nodeId, jobId, status, detail, attempt } = update;
      const job = book.find(jobId);
      if (job === undefined) return no(`there is no job ${printable(jobId)}`);
      const isOwn = job.nodeId === nodeId && (attempt === 0 || attempt === job.attempt);
      if (isOwn && isOnNode(job.state)) heardAt.set(jobId, clock.now());
      if (isOwn && job.state === status) {
        if (status === 'running') await outputs.append(jobId, update);
        else await book.settle(jobId);
        return OK;
      }
      // A repetition: its first was taken, and the job waits to be tried again.
      if (isOwn && status === 'failed' && !isJobFinal(job.state) && !isOnNode(job.state)) return OK;
      if (!isOwn || !isOnNode(job.state))
        return no(
          isOwn ? `job ${jobId} is ${job.state}: end it` : `job ${jobId} is not this node's any more: end it`,
        );
      const node = nodes.get(nodeId);
      if (node !== undefined) node.lastSeenMs = clock.monotonicMs();
      await outputs.append(jobId, update);
      const message = printable(detail, 1_000) || undefined;
      switch (status) {
        case 'running':
          await move(jobId, { state: 'running', startedAt: clock.now(), message }, 'running', message);
          return OK;
        case 'completed':
          if (job.spec.type === 'service')
            await move(...retryOf(job, message ?? 'it has ended, and is to run on'));
          else
            await move(
              jobId,
              { state: 'completed', finishedAt: clock.now(), message, exitCode: update.exitCode },
              'completed',
              message,
            );
          return OK;
        case 'failed': {
          const [id, fields, type, why] = retryOf(job, message ?? 'it failed');
          await move(id, { ...fields, exitCode: update.exitCode || undefined }, type, why);
          return OK;
        }
        default:
          return no(
            `status ${JSON.stringify(printable(status))} is not known: say running, completed or failed`,
          );
      }
    },

    sweep() {
      for (const node of nodes.sweep()) {
        logger.warn(
          { event: 'node_offline', nodeId: node.id },
          'a node is silent: its jobs are queued again',
        );
        for (const id of [...node.jobIds]) {
          const job = book.find(id);
          if (job !== undefined && isOnNode(job.state))
            moveSoon(...retryOf(job, `node ${node.id} is offline`));
        }
      }
      for (const node of nodes.all()) lookAtClaimed(node);
      for (const id of [...waiting]) lookAtWaiting(book.get(id));
      for (const id of [...templates]) runSchedule(book.get(id));
      for (const id of book.sweep()) void outputs.remove(id);
    },
  };
}

/** Jobs that one offer leaves for better nodes, at most. */
const MAX_LEFT = 4;

function stateSummary(job: JobRecord, nodes: string, pending: readonly string[]): string {
  switch (job.state) {
    case 'queued':
      return nodes;
    case 'waiting':
      if (pending.length > 0) return `it waits for ${pending.join(', ')}`;
      return `it is tried again at ${new Date(job.notBefore ?? 0).toISOString()}: ${job.message ?? ''}`;
    case 'active':
      return job.nextRunAt === undefined
        ? 'it runs once on every node that matches'
        : `its schedule is due at ${new Date(job.nextRunAt).toISOString()}`;
    case 'claimed':
    case 'running':
      return `node ${job.nodeId ?? ''} has it`;
    case 'completed':
    case 'failed':
    case 'cancelled':
      return `it has ${job.state === 'cancelled' ? 'been cancelled' : job.state}${job.message === undefined ? '' : `: ${job.message}`}`;
  }
}
