/**
 * 500 jobs, 50 nodes of the original contract that claim at random, and nodes and the controller killed at random: each job
 * completes exactly once by the record, none is lost, and no two nodes have one at a time.
 *
 * The nodes keep the time of the contract in small: silent for 2 s is offline. What each was told is noted by itself, and the
 * record is compared with that.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { JobResource } from '@mig/common/api/job-resource';
import { connectForeignNode, type ForeignNode } from '@mig/testkit/legacy/foreign-node';
import { startControllerProcess, type ControllerProcess } from './controller-process.js';

const JOBS = 500;
const NODES = 50;
const OFFLINE_MS = 2_000;
const PATIENCE_MS = 150_000;

let folder = '';
let controller: ControllerProcess;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-jobs-chaos-'));
  controller = await startControllerProcess(path.join(folder, 'data'), {
    CONTROLLER_JOBS_OFFLINE_AFTER: `${OFFLINE_MS}ms`,
    CONTROLLER_JOBS_PLACEMENT_WAIT: '0s',
    // A node of the original contract that comes back under its name may have forgotten what it had begun.
    CONTROLLER_JOBS_FORGOTTEN_AFTER: '10s',
  });
}, 60_000);
afterAll(async () => {
  await controller.stop();
  rmSync(folder, { recursive: true, force: true });
}, 30_000);

function createRandom(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function listJobs(): Promise<JobResource[]> {
  return (await controller.call<{ jobs: JobResource[] }>('GET', 'jobs?limit=10000')).jobs;
}

interface Witness {
  /** Job and node, for each claim that was answered ok. */
  readonly claims: { readonly jobId: string; readonly nodeId: string }[];
  /** … and for each completion that was answered ok. */
  readonly completions: { readonly jobId: string; readonly nodeId: string }[];
}

/** Works until `isOver`, or until it dies of itself: then it says nothing more, as a machine that lost its power. */
async function liveOn(
  node: ForeignNode,
  known: readonly string[],
  witness: Witness,
  random: () => number,
  isOver: () => boolean,
): Promise<void> {
  const dies = random() < 0.5 ? 10 + Math.floor(random() * 40) : Infinity;
  let beatAt = 0;
  for (let step = 0; step < dies && !isOver(); step += 1) {
    try {
      if (Date.now() - beatAt > OFFLINE_MS / 4) {
        await node.heartbeat();
        beatAt = Date.now();
      }
      // What it is offered, or any that it has heard of: a claim that is refused is no harm.
      const offer = await node.getJob();
      const offered = (offer['job'] as { job_id: string } | null)?.job_id;
      const jobId = random() < 0.3 ? known[Math.floor(random() * known.length)] : offered;
      if (jobId === undefined) {
        await pause(20 + random() * 50);
        continue;
      }
      const { ok } = await node.claimJob(jobId);
      if (ok !== true) continue;
      witness.claims.push({ jobId, nodeId: node.nodeId });
      // It dies with the job in its hands, now and then.
      if (step + 2 >= dies) return;
      await node.updateStatus(jobId, 'running');
      await pause(random() * 60);
      const status = random() < 0.05 ? 'failed' : 'completed';
      for (let attempt = 0; ; attempt += 1) {
        try {
          const answer = await node.updateStatus(jobId, status);
          if (answer['ok'] === true && status === 'completed')
            witness.completions.push({ jobId, nodeId: node.nodeId });
          break;
        } catch (error) {
          if (attempt > 20 || isOver()) throw error;
          await pause(100);
          await node.heartbeat().catch(() => undefined);
        }
      }
    } catch {
      // The controller is away.
      await pause(100 + random() * 100);
    }
  }
}

describe('500 jobs and 50 nodes, killed at random', () => {
  test(
    'each job completes exactly once, none is lost, and none is had twice at a time',
    async () => {
      const random = createRandom(20_261_121);
      const { token: joinToken } = await controller.call<{ token: string }>('POST', 'tokens', {
        kind: 'join',
        name: 'nodes',
        pool_id: 'linux',
        expires_in_ms: 3_600_000,
      });
      const ids: string[] = [];
      const submit = async (at: number): Promise<void> => {
        const response = await fetch(`${controller.http}/api/v1/jobs`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            authorization: `Bearer ${controller.operator.MIGCTL_TOKEN}`,
            'idempotency-key': `k${at}`,
            'x-submitter': `s${at % 5}`,
          },
          body: JSON.stringify({
            name: `job-${at}`,
            priority: at % 100,
            retry: { max_retries: 1_000, backoff: '0s', max_backoff: '0s' },
            tasks: [{ name: 't', driver: 'exec', config: { command: 'true' } }],
          }),
        });
        ids.push(((await response.json()) as { id: string }).id);
      };
      for (let at = 0; at < JOBS; at += 10)
        await Promise.all(Array.from({ length: 10 }, (_, offset) => submit(at + offset)));
      expect(new Set(ids).size).toBe(JOBS);

      const witness: Witness = { claims: [], completions: [] };
      const deadline = Date.now() + PATIENCE_MS;
      let over = false;
      const isOver = (): boolean => over || Date.now() > deadline;
      let kills = 0;
      const lives = Array.from({ length: NODES }, async (_, at) => {
        for (let life = 0; !isOver(); life += 1) {
          // A machine that comes back has another name half of the time; with the same one it was silent long enough.
          const name = random() < 0.5 ? `node-${at}` : `node-${at}-${life}`;
          const node = connectForeignNode(controller.grpc, name, joinToken);
          await liveOn(node, ids, witness, random, isOver);
          node.close();
          if (!isOver()) kills += 1;
          for (let waited = 0; waited < OFFLINE_MS + 1_500 && !isOver(); waited += 100) await pause(100);
        }
      });
      const crashes = (async () => {
        for (let crash = 0; crash < 4 && !isOver(); crash += 1) {
          await pause(1_500 + random() * 2_500);
          if (!isOver()) await controller.killAndStart();
        }
      })();
      while (!isOver()) {
        await pause(300);
        const jobs = await listJobs().catch(() => []);
        over = jobs.length === JOBS && jobs.every(({ state }) => state === 'completed');
      }
      await Promise.all([...lives, crashes]);

      const jobs = await listJobs();
      expect(jobs).toHaveLength(JOBS);
      expect(jobs.filter(({ state }) => state !== 'completed').map(({ id, state }) => [id, state])).toEqual(
        [],
      );
      expect(kills).toBeGreaterThan(5);
      for (const { id, events, node_id: nodeId } of jobs) {
        // By the record: one completion, by the node that had it last.
        expect(events.filter(({ type }) => type === 'completed')).toHaveLength(1);
        // Between two claims stands why the first came to nothing: nobody else had it meanwhile.
        const moves = events
          .map(({ type }) => type)
          .filter((type) => ['claimed', 'retry', 'completed'].includes(type));
        for (const [at, type] of moves.entries())
          if (at > 0 && type === 'claimed') expect(moves[at - 1]).toBe('retry');
        // What a node was told is in the record: each claim, and no completion but the one.
        const told = witness.completions.filter(({ jobId }) => jobId === id);
        expect(new Set(told.map((one) => one.nodeId)).size).toBeLessThanOrEqual(1);
        for (const one of told) expect(one.nodeId).toBe(nodeId);
        for (const claim of witness.claims.filter(({ jobId }) => jobId === id))
          expect(events.some((event) => event.type === 'claimed' && event.node_id === claim.nodeId)).toBe(
            true,
          );
      }
    },
    PATIENCE_MS + 60_000,
  );
});
