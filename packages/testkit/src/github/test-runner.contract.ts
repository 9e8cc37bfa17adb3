/** A runner that says to the runner service exactly what a test tells it to say. */
import { createServiceClient } from '../runner/service-client.js';
import type { Registration, RegistrationRequest, RunnerMessage, Session } from './runner-protocol.js';

export const REGISTRATION: Omit<RegistrationRequest, 'url'> = {
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

export interface TestRunner {
  openSession(): Promise<string>;
  closeSession(session: string): Promise<number>;
  /** The id of the job that it was handed; undefined: none, or the status of a refusal. */
  poll(session: string): Promise<number | undefined | { refused: number }>;
  job(id: number, verb: 'acquire' | 'renew' | 'complete', body?: object): Promise<number>;
}

export const SUCCESS = { result: 'Succeeded', ended_by: 'itself' };
export const CANCELED = { result: 'Canceled', ended_by: 'runner-shutdown' };

/** Registers with a token. */
export async function registerRunner(
  github: { readonly url: string; readonly organizationUrl: string },
  token: string,
  changes: Partial<RegistrationRequest> = {},
): Promise<TestRunner & { readonly id: number }> {
  const reply = await createServiceClient(github.url, 'test').send({
    method: 'POST',
    path: 'registrations',
    authorization: `RemoteAuth ${token}`,
    body: { ...REGISTRATION, url: github.organizationUrl, ...changes },
  });
  if (reply.kind !== 'answer' || reply.status !== 200)
    throw new Error(`not registered: ${JSON.stringify(reply)}`);
  const registration = reply.body as Registration;
  return { id: registration.agent_id, ...createTestRunner(github.url, registration.credential) };
}

/** The runner of a JIT configuration. */
export function toJitRunner(url: string, encodedJitConfig: string): TestRunner {
  const decode = (text: string) =>
    JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as Record<string, string>;
  const files = decode(encodedJitConfig);
  return createTestRunner(url, decode(files['.credentials_rsaparams'] ?? '')['standInCredential'] ?? '');
}

function createTestRunner(url: string, credential: string): TestRunner {
  const client = createServiceClient(url, 'test');
  const authorization = `Bearer ${credential}`;
  async function send(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object) {
    const reply = await client.send({ method, path, authorization, ...(body && { body }) });
    if (reply.kind !== 'answer') throw new Error(`no answer: ${JSON.stringify(reply)}`);
    return reply;
  }
  return {
    async openSession() {
      const reply = await send('POST', 'sessions', { version: '2.336.0', os: 'Linux' });
      if (reply.status !== 200) throw new Error(`no session: ${reply.status}`);
      return (reply.body as Session).session_id;
    },
    closeSession: async (session) => (await send('DELETE', `sessions/${session}`)).status,
    async poll(session) {
      const reply = await send('GET', `sessions/${session}/message`);
      if (reply.status !== 200) return { refused: reply.status };
      const message = reply.body as RunnerMessage;
      return message.type === 'job' ? message.job_id : undefined;
    },
    job: async (id, verb, body = {}) => (await send('POST', `jobs/${id}/${verb}`, body)).status,
  };
}
