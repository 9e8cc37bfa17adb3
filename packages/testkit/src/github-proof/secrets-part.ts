/**
 * A whole run with every kind of secret: the key of a GitHub App, its tokens, the secret of the webhook, JIT configurations,
 * registration tokens, credentials of runners. Things go wrong meanwhile, for errors talk. Then everything that it left behind
 * is searched, and what could be seen of its processes: no secret is found, nor a part of one (I8).
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createSecretTap, type SecretTap } from '../chaos/secret-tap.js';
import { createTcpProxy, type TcpProxy } from '../chaos/tcp-proxy.js';
import { verdict, type Part, type PartResult } from '../reliability/part.js';
import { POOL, type Ground } from '../reliability/ground.js';
import { waitUntil } from '../system/wait.js';
import { startProofControl, type ProofControl } from './control.js';
import { isReady, waitForFleet } from './fleet-states.js';
import { githubVerdicts } from './github-verdicts.js';
import { shutDownAll } from './lives-part.js';
import type { ProofOptions } from './options.js';
import { sampleProcesses } from './process-sampler.js';
import { startProofFleet, type ProofFleet } from './proof-fleet.js';
import { createSecretSearch } from './secret-search.js';

const BOUND_MS = 60_000;
const SIMULATED = 3;
const JOBS = 2;

export const secretsPart: Part<Pick<ProofOptions, 'seed'>> = {
  name: 'secrets',
  title: 'a run with every kind of secret, and what it leaves behind',
  boundMs: () => 5 * BOUND_MS,
  run,
};

/** Kinds that must have been there, or nothing is proved. */
const KINDS = [
  'token',
  'credential of a runner',
  'JIT configuration',
  'credential of a request',
  'secret of the webhook',
  'private key of the App',
  'token of the REST API',
] as const;

async function run(ground: Ground): Promise<PartResult> {
  const tap = createSecretTap();
  const answers = path.join(ground.folder, 'answers');
  mkdirSync(answers);
  const sampler = sampleProcesses({
    folder: ground.folder,
    // The listener is handed its configuration so, and the kernel goes on showing it; config.sh is handed a token, and what it
    // starts inherits that.
    mayKnow: ({ commandLine, parentsCommandLine }) =>
      /bin\/Runner\.Listener|config\.sh/.test(commandLine) || parentsCommandLine.includes('config.sh'),
  });
  const secrets = new Map<string, string>();
  const verdicts = [];
  for (const mode of ['jit', 'token'] as const) {
    const control = await live(ground, tap, mode, answers);
    verdicts.push(...githubVerdicts(control));
    secrets.set(control.webhookSecret, 'secret of the webhook');
    const body = control.key.privateKey.split('\n').filter((line) => line !== '' && !line.startsWith('-'));
    for (const line of body) secrets.set(line, 'private key of the App');
    ground.say(`registration by ${mode} is done`);
  }
  const processes = sampler.stop();

  for (const [secret, what] of tap.list()) secrets.set(secret, what);
  for (const config of [...secrets].filter(([, what]) => what === 'JIT configuration')) {
    for (const credential of credentialsIn(config[0])) secrets.set(credential, 'credential of a runner');
  }
  const search = createSecretSearch(secrets);
  const except = placesOfSecrets(ground.folder);
  const found = [
    ...search.findBelow(ground.folder, except),
    ...processes.flatMap(({ who, text }) => search.findIn(text).map((what) => `${who} shows a ${what}`)),
  ];
  const counts = new Map<string, number>();
  for (const what of secrets.values()) counts.set(what, (counts.get(what) ?? 0) + 1);

  const [token = ''] = [...secrets].find(([, what]) => what === 'token') ?? [];
  writeFileSync(
    path.join(answers, 'canary'),
    `{"error":"failed with ${Buffer.from(`x${token}`).toString('base64').slice(8, 26)}"}`,
  );
  const canary = search.findBelow(ground.folder, except).filter((line) => line.includes('canary'));
  return {
    figures: [
      { name: 'secrets', value: secrets.size },
      { name: 'processes whose arguments and environment were seen', value: processes.length },
      ...[...counts].map(([what, value]) => ({ name: `… ${what}`, value })),
    ],
    verdicts: [
      verdict('no secret is found', found),
      verdict(
        'every kind of secret was there to be found',
        KINDS.filter((kind) => !counts.has(kind)),
      ),
      verdict(
        'the search finds 16 characters of a secret',
        canary.length === 1 ? [] : canary.concat('not found'),
      ),
      ...verdicts,
    ],
  };
}

/** From the start of all processes to their end. */
async function live(
  ground: Ground,
  tap: SecretTap,
  mode: 'jit' | 'token',
  answers: string,
): Promise<ProofControl> {
  const proxies: TcpProxy[] = [];
  ground.onCleanUp(() => void Promise.all(proxies.map((proxy) => proxy.close())));
  const control = await startProofControl(ground, {
    auth: mode === 'jit' ? 'app' : 'token',
    token: tap.invent(),
    dataName: `controller_data-${mode}`,
    env: {
      CONTROLLER_GITHUB_REGISTRATION: mode,
      CONTROLLER_LOG_LEVEL: 'debug',
      CONTROLLER_GITHUB_WRITES_PER_SECOND: '50',
    },
    async via(targetPort) {
      const proxy = await createTcpProxy({ targetPort, onData: tap.onData });
      proxies.push(proxy);
      return `http://127.0.0.1:${proxy.port}`;
    },
  });
  const { github } = control;
  // Errors talk: of the API, of config.sh, of a registration that is refused.
  github.faults.failNext('generate-jitconfig', { status: 422 });
  github.faults.failNext('generate-jitconfig', { status: 500, afterEffect: true });
  github.faults.failNext('registration-token', { status: 500, afterEffect: true });
  github.faults.failNext('create-installation-token', { status: 500, afterEffect: true });
  github.faults.failNext('register', { status: 404, afterEffect: true });
  const fleet = startProofFleet(ground, control, {
    prefix: `${mode}-`,
    simulated: SIMULATED,
    real: 1,
    realEnv: { MIGLET_LOG_LEVEL: 'debug', MIGLET_RUNNER_EPHEMERAL: 'true' },
  });
  const ready = (what: string) =>
    waitForFleet(ground, control, { what, vmIds: fleet.vmIds, isThere: isReady, deadlineMs: BOUND_MS });
  await ready('all VMs are ready');
  for (const vmId of fleet.vmIds) {
    for (let job = 1; job <= JOBS; job += 1) {
      github.queueJob({
        name: `job ${job} of ${vmId}`,
        labels: ['self-hosted', POOL, vmId],
        durationMs: 200,
        // What a job sees, and may print: it stays in the work folder, and is searched.
        steps: [{ name: 'looks around', run: 'env > environment.txt; cat /proc/$PPID/environ > parent.txt' }],
      });
    }
  }
  await waitUntil('all jobs are done', () => github.jobs().every(({ status }) => status === 'completed'), {
    deadlineMs: BOUND_MS,
    signal: ground.signal,
  });
  await control.controller.kill();
  await control.controller.start();
  await postWrongly(control);
  await ready('all VMs are ready again');
  await askEverything(control, fleet, answers, mode);
  await shutDownAll(ground, control, fleet, BOUND_MS);
  await askEverything(control, fleet, answers, `${mode}-end`);
  await control.controller.stop();
  await Promise.all(proxies.map((proxy) => proxy.close()));
  return control;
}

/** A webhook with a signature that is wrong, and one without. */
async function postWrongly({ controller, webhookSecret }: ProofControl): Promise<void> {
  for (const signature of ['sha256=00', `sha256=${webhookSecret}`, '']) {
    await fetch(`${controller.http}/webhooks/github`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-github-event': 'workflow_job',
        'x-github-delivery': `wrong ${signature.length}`,
        ...(signature === '' ? {} : { 'x-hub-signature-256': signature }),
      },
      body: '{"action":"queued"}',
    });
  }
}

/** Whatever the HTTP API says, into files. */
async function askEverything(
  { controller }: ProofControl,
  fleet: ProofFleet,
  folder: string,
  name: string,
): Promise<void> {
  const routes = [
    ...['vms', 'commands?limit=1000', 'drains', 'workflow-jobs', 'github', 'github/runners'].map(
      (route) => `/api/v1/${route}`,
    ),
    ...fleet.vmIds.flatMap((vmId) =>
      ['', '/events', '/heartbeats'].map((route) => `/api/v1/vms/${vmId}${route}`),
    ),
    ...['/healthz', '/readyz', '/health', '/api/v1/openapi.json', '/metrics', '/webhooks/github'],
  ];
  for (const [index, route] of routes.entries()) {
    const response = await fetch(`${controller.http}${route}`);
    const headers = JSON.stringify([...response.headers]);
    writeFileSync(
      path.join(folder, `${name}-${index}.txt`),
      `${route}\n${headers}\n${await response.text()}`,
    );
  }
}

/** Where secrets belong: files that an operator makes, and the runner's own. */
function placesOfSecrets(folder: string): Set<string> {
  const runners = readdirSync(path.join(folder, 'vms')).flatMap((vmId) =>
    ['.runner', '.credentials', '.credentials_rsaparams'].map((file) =>
      path.join(folder, 'vms', vmId, 'actions-runner', file),
    ),
  );
  const own = ['programs', 'app-key.pem', 'webhook-secret', 'github-token'].map((name) =>
    path.join(folder, name),
  );
  return new Set([...own, ...runners]);
}

function credentialsIn(encoded: string): string[] {
  const decode = (text: string) =>
    JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as Record<string, string>;
  const key = decode(decode(encoded)['.credentials_rsaparams'] ?? '');
  return Object.values(key);
}
