import { afterEach, describe, expect, it } from '@jest/globals';
import { createServiceClient, type ServiceReply } from '../runner/service-client.js';
import type {
  AcquiredJob,
  Registration,
  RegistrationRequest,
  RunnerMessage,
  Session,
} from './runner-protocol.js';
import { createStandInGitHub, type StandInGitHub, type StandInGitHubOptions } from './stand-in-github.js';
import { until } from './until.js';

let github: StandInGitHub;
afterEach(() => github.close());

const start = async (options: Partial<StandInGitHubOptions> = {}) => {
  github = await createStandInGitHub({ tokens: ['secret'], ...options });
};

function bodyOf<T>(reply: ServiceReply, status = 200): T {
  expect(reply).toMatchObject({ kind: 'answer', status });
  return (reply.kind === 'answer' ? reply.body : undefined) as T;
}

/** A runner that says what it is told to say. */
async function register(changes: Partial<RegistrationRequest> = {}) {
  const client = createServiceClient(github.url, 'test');
  const registration = bodyOf<Registration>(
    await client.send({
      method: 'POST',
      path: 'registrations',
      authorization: `RemoteAuth ${github.issueToken('registration')}`,
      body: { ...DEFAULTS, url: github.organizationUrl, ...changes },
    }),
  );
  const authorization = `Bearer ${registration.credential}`;
  const send = (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object, signal?: AbortSignal) =>
    client.send({ method, path, authorization, ...(body && { body }), ...(signal && { signal }) });
  return {
    id: registration.agent_id,
    openSession: () => send('POST', 'sessions', { version: '1', os: 'Linux' }),
    closeSession: (id: string) => send('DELETE', `sessions/${id}`),
    poll: (id: string, signal?: AbortSignal) => send('GET', `sessions/${id}/message`, undefined, signal),
    job: (id: number, verb: string, body: object = {}) => send('POST', `jobs/${id}/${verb}`, body),
    async session() {
      return bodyOf<Session>(await this.openSession()).session_id;
    },
    async nextJob(session: string) {
      const message = bodyOf<RunnerMessage>(await this.poll(session));
      return message.type === 'job' ? message.job_id : undefined;
    },
  };
}

const DEFAULTS: Omit<RegistrationRequest, 'url'> = {
  name: 'vm-1',
  labels: ['pool-a'],
  no_default_labels: false,
  runner_group: '',
  ephemeral: false,
  replace: false,
  os: 'Linux',
  arch: 'X64',
  version: '2.336.0',
};
const SUCCESS = { result: 'Succeeded', ended_by: 'itself' };

const remove = (id: number) =>
  fetch(`${github.url}/orgs/acme/actions/runners/${id}`, {
    method: 'DELETE',
    headers: { authorization: 'Bearer secret' },
  }).then((response) => response.status);

const shown = async (id: number) => {
  const headers = { authorization: 'Bearer secret' };
  const response = await fetch(`${github.url}/orgs/acme/actions/runners/${id}`, { headers });
  return (await response.json()) as { busy: boolean; status: string };
};

describe('register', () => {
  it('refuses a token of the wrong kind, of the wrong scope, and none', async () => {
    await start();
    const client = createServiceClient(github.url, 'test');
    const send = (token: string, url: string) =>
      client.send({
        method: 'POST',
        path: 'registrations',
        authorization: `RemoteAuth ${token}`,
        body: { ...DEFAULTS, url },
      });
    bodyOf(await send(github.issueToken('remove'), github.organizationUrl), 404);
    bodyOf(await send(github.issueToken('registration'), `${github.organizationUrl}/app`), 404);
    bodyOf(await send('', github.organizationUrl), 404);
    bodyOf(await send(github.issueToken('registration'), github.organizationUrl));
  });

  it('adds the labels of the system, and keeps the id of a runner that is replaced', async () => {
    await start();
    const first = await register();
    expect(github.runners()[0]?.labels.map(({ name, type }) => [name, type])).toEqual([
      ['self-hosted', 'read-only'],
      ['Linux', 'read-only'],
      ['X64', 'read-only'],
      ['pool-a', 'custom'],
    ]);
    const second = await register({ replace: true, labels: ['pool-b'] });
    expect(second.id).toBe(first.id);
    bodyOf(await first.openSession(), 404);
    bodyOf(await second.openSession());
  });
});

describe('sessions', () => {
  it('has one session per runner, which makes it online until it is deleted', async () => {
    await start();
    const runner = await register();
    const session = await runner.session();
    expect((await shown(runner.id)).status).toBe('online');
    bodyOf(await runner.openSession(), 409);
    bodyOf(await runner.closeSession(session));
    expect((await shown(runner.id)).status).toBe('offline');
    bodyOf(await runner.poll(session), 410);
    bodyOf(await runner.openSession());
  });

  it('takes a runner for offline that is silent, and not one whose poll waits', async () => {
    await start({ sessionTimeoutMs: 40, pollMs: 200 });
    const runner = await register();
    const session = await runner.session();
    await runner.poll(session);
    expect(github.runners()[0]?.status).toBe('online');
    await until('offline', () => github.runners()[0]?.status === 'offline');
    bodyOf(await runner.poll(session), 410);
  });

  it('tells a runner at its next poll that its registration was deleted', async () => {
    await start({ pollMs: 20 });
    const runner = await register();
    const session = await runner.session();
    expect(await remove(runner.id)).toBe(204);
    bodyOf(await runner.poll(session), 404);
  });
});

describe('hand over', () => {
  it('gives jobs in their order, to runners that have all their labels', async () => {
    await start({ pollMs: 30 });
    const runner = await register();
    const session = await runner.session();
    github.queueJob({ name: 'too much', labels: ['self-hosted', 'gpu'] });
    const wanted = github.queueJob({ labels: ['SELF-HOSTED', 'Pool-A'] });
    const later = github.queueJob();
    expect(await runner.nextJob(session)).toBe(wanted.id);
    bodyOf<AcquiredJob>(await runner.job(wanted.id, 'acquire'));
    expect(await runner.nextJob(session)).toBeUndefined();
    bodyOf(await runner.job(wanted.id, 'complete', SUCCESS));
    expect(await runner.nextJob(session)).toBe(later.id);
  });

  it('gives no runner of a repository the job of another', async () => {
    await start({ pollMs: 30 });
    const runner = await register();
    const session = await runner.session();
    github.queueJob({ repository: 'other/app' });
    expect(await runner.nextJob(session)).toBeUndefined();
  });

  it('refuses to delete a runner from the moment that a job is handed to it', async () => {
    await start();
    const runner = await register();
    const session = await runner.session();
    const { id } = github.queueJob();
    const polled = runner.nextJob(session);
    await until('handed over', () => github.jobs()[0]?.status === 'assigned');
    expect(await remove(runner.id)).toBe(422);
    expect(await polled).toBe(id);
    bodyOf(await runner.job(id, 'acquire'));
    expect(await remove(runner.id)).toBe(422);
    bodyOf(await runner.job(id, 'complete', SUCCESS));
    expect(await remove(runner.id)).toBe(204);
    expect(github.jobs()[0]).toMatchObject({
      result: 'Succeeded',
      conclusion: 'success',
      runner_name: 'vm-1',
    });
  });

  it('gives a job or takes a deletion, never both, however they meet', async () => {
    await start();
    for (let round = 0; round < 30; round += 1) {
      const runner = await register({ name: `vm-${round}`, ephemeral: true, labels: [`round-${round}`] });
      const session = await runner.session();
      const polled = runner.poll(session);
      const deleted = round % 2 === 0 ? remove(runner.id) : undefined;
      const job = github.queueJob({ labels: [`round-${round}`] });
      const status = await (deleted ?? remove(runner.id));
      const assigned = github.jobs().find(({ id }) => id === job.id)?.status === 'assigned';
      expect([status, assigned]).toEqual(assigned ? [422, true] : [204, false]);
      if (assigned) {
        await polled;
        bodyOf(await runner.job(job.id, 'acquire'));
        bodyOf(await runner.job(job.id, 'complete', SUCCESS));
      }
    }
  });

  it('lets the flag lag behind while DELETE knows the truth', async () => {
    await start();
    github.faults.setBusyLagMs(60_000);
    const runner = await register();
    const session = await runner.session();
    github.queueJob();
    await runner.nextJob(session);
    expect((await shown(runner.id)).busy).toBe(false);
    expect(github.runners()[0]?.busy).toBe(true);
    expect(await remove(runner.id)).toBe(422);
  });
});

describe('loss', () => {
  it('queues a job again that nobody acquired, at its old place', async () => {
    await start({ acquireWithinMs: 30 });
    const runner = await register();
    const session = await runner.session();
    const first = github.queueJob();
    github.queueJob();
    await runner.nextJob(session);
    await until('queued again', () => github.jobs()[0]?.status === 'queued');
    bodyOf(await runner.job(first.id, 'acquire'), 409);
    expect(await runner.nextJob(session)).toBe(first.id);
  });

  it('queues a job again whose runner closed its session before it acquired it', async () => {
    await start();
    const runner = await register();
    const session = await runner.session();
    github.queueJob();
    await runner.nextJob(session);
    bodyOf(await runner.closeSession(session));
    expect(github.jobs()[0]).toMatchObject({ status: 'queued', runner_name: null });
  });

  it('hands no job to a poll whose runner has gone', async () => {
    await start();
    const runner = await register();
    const session = await runner.session();
    const gone = new AbortController();
    const hold = github.faults.hold('poll');
    const polled = runner.poll(session, gone.signal);
    await until('the poll is there', () => hold.waiting() === 1);
    hold.release();
    gone.abort();
    expect(await polled).toEqual({ kind: 'aborted' });
    await until('seen to be gone', () => github.requests().at(-1)?.route === 'poll');
    github.queueJob();
    expect(github.jobs()[0]?.status).toBe('queued');
  });

  it('loses a job whose lease is not renewed, and an ephemeral runner with it', async () => {
    await start({ jobLostAfterMs: 80 });
    const runner = await register({ ephemeral: true });
    const session = await runner.session();
    const { id } = github.queueJob();
    await runner.nextJob(session);
    const job = bodyOf<AcquiredJob>(await runner.job(id, 'acquire'));
    expect(job.renew_every_ms).toBe(20);
    bodyOf(await runner.job(id, 'renew'));
    await until('lost', () => github.jobs()[0]?.status === 'completed');
    expect(github.jobsKilled()).toMatchObject([
      { id, result: 'Lost', conclusion: 'failure', ended_by: 'runner-lost' },
    ]);
    expect(github.runners()).toEqual([]);
    bodyOf(await runner.job(id, 'renew'), 404);
  });
});

describe('random jobs', () => {
  it('makes the same jobs of the same seed, and no more than wait already', async () => {
    const make = async () => {
      await start({ jobsEveryMs: 2, seed: 7 });
      await until('enough', () => github.jobs().length === 10);
      const jobs = github.jobs().map(({ name, duration_ms }) => ({ name, duration_ms }));
      expect(jobs.every(({ duration_ms }) => duration_ms >= 2_000 && duration_ms <= 8_000)).toBe(true);
      return jobs;
    };
    const first = await make();
    await github.close();
    expect(await make()).toEqual(first);
  });
});
