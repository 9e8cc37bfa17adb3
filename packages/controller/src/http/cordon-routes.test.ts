/** Cordons as an operator sees them: over HTTP, with real streams, real files and the stand-in GitHub. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { CommandResource } from '@mig/common/api/command-resource';
import type { EventResource } from '@mig/common/api/history-resource';
import { vmSchema, type VmResource } from '@mig/common/api/vm-resource';
import { until } from '@mig/testkit/github/until';
import { vmEvent, vmReport } from '../store/samples.contract.js';
import { GITHUB_TOKEN, startTestController, type TestController } from '../test-controller.contract.js';
import type { TestMiglet } from '../test-miglet.contract.js';
import { expectProblem } from './expect-problem.contract.js';

const RUNNER = 'vm-1-boot1';
const AWAITING = { state: 'registering.awaitingCommand' };
const PATH = '/api/v1/vms/vm-1';

let test: TestController;
beforeEach(async () => {
  test = await startTestController({ withGitHub: true });
});
afterEach(() => test.dispose());

const cordon = async (body?: object) => {
  const answer = await test.call<VmResource>('POST', `${PATH}/cordon`, { body });
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
  return answer;
};
const uncordon = () => test.call<VmResource>('POST', `${PATH}/uncordon`);
const vm = async () => (await test.call<VmResource>('GET', PATH)).json;
const labels = () => test.github.runners()[0]?.labels.map((label) => label.name);
const eventTypes = async () =>
  (await test.call<{ events: EventResource[] }>('GET', `${PATH}/events`)).json.events.map(({ type }) => type);
const commands = async () =>
  (await test.call<{ commands: CommandResource[] }>('GET', '/api/v1/commands?vm_id=vm-1')).json.commands;

async function registerRunner(): Promise<void> {
  const response = await fetch(`${test.github.url}/orgs/acme/actions/runners/generate-jitconfig`, {
    method: 'POST',
    headers: { authorization: `Bearer ${GITHUB_TOKEN}`, accept: 'application/vnd.github+json' },
    body: JSON.stringify({ name: RUNNER, runner_group_id: 1, labels: ['self-hosted', 'gpu'] }),
  });
  expect(response.status).toBe(201);
}

async function refused(
  method: string,
  target: string,
  status: number,
  code: string,
  body?: object,
): Promise<void> {
  const problem = await expectProblem(test, method, target, body === undefined ? {} : { body });
  expect(problem).toMatchObject({ status, type: `urn:mig:problem:${code}` });
}

const beat = (miglet: TestMiglet, state: string, bootId = 'boot-1'): void =>
  miglet.send({
    kind: 'heartbeat',
    heartbeat: {
      vmId: 'vm-1',
      poolId: 'pool-a',
      orgId: 'acme',
      bootId,
      at: 0,
      intervalMs: 0,
      report: vmReport({
        state,
        runner: {
          state: 'idle',
          configured: state.startsWith('ready'),
          name: RUNNER,
          labels: ['self-hosted', 'gpu'],
        },
      }),
    },
  });

async function inService(): Promise<TestMiglet> {
  const miglet = await test.miglet();
  await registerRunner();
  beat(miglet, 'ready.idle');
  await test.eventually<VmResource>('it has a runner', PATH, ({ runner }) => runner?.configured === true);
  return miglet;
}

describe('a VM with a runner', () => {
  it('that is cordoned takes no new jobs, keeps its runner, and has it back when uncordoned', async () => {
    const miglet = await inService();
    const { json } = await cordon({ reason: 'disk is full' });
    expect(vmSchema.parse(json)).toEqual(json);
    expect(json).toMatchObject({
      state: 'ready.idle',
      eligible: false,
      cordon: { reason: 'disk is full', by: 'operator' },
    });
    await until('its labels are taken', () => labels()?.join() === 'mig-cordoned');
    expect((await uncordon()).json).toMatchObject({ eligible: true });
    expect((await vm()).cordon).toBeUndefined();
    await until('it has its labels again', () => labels()?.join() === 'self-hosted,gpu');
    expect(await eventTypes()).toEqual(['vm_cordoned', 'vm_uncordoned']);
    // Nothing was stopped, and nothing was asked of the VM.
    expect(miglet.commands()).toEqual([]);
  });

  it('stays cordoned and fenced over a restart of the controller, and over its boots', async () => {
    await inService();
    test.github.faults.setReachable(false);
    await cordon({ reason: 'x' });
    await test.restart();
    expect(await vm()).toMatchObject({ eligible: false, cordon: { reason: 'x' } });
    test.github.faults.setReachable(true);
    await until('its labels are taken', () => labels()?.join() === 'mig-cordoned');
    await test.miglet({ bootId: 'boot-2', ...AWAITING });
    expect(await vm()).toMatchObject({ boot_id: 'boot-2', eligible: false, cordon: { reason: 'x' } });
    expect(await commands()).toEqual([]);
  });

  it('whose runner comes back from a drain with a job stays fenced while the drain lasts', async () => {
    const miglet = await inService();
    await cordon();
    await until('its labels are taken', () => labels()?.join() === 'mig-cordoned');
    const drain = await test.call<{ id: string }>('POST', '/api/v1/drains', {
      body: { selector: { vm_ids: ['vm-1'] }, reason: 'x', then: 'keep' },
    });
    expect(drain.status).toBe(202);
    await until('it is told to drain', () => miglet.commands().some(({ type }) => type === 'drain'));
    beat(miglet, 'draining.finishingJob');
    await test.eventually<VmResource>('it drains', PATH, ({ state }) => state.startsWith('draining'));
    await uncordon();
    expect(await vm()).toMatchObject({ eligible: false, drain_id: drain.json.id });
    expect(labels()).toEqual(['mig-cordoned']);
  });
});

describe('a VM that waits for a registration', () => {
  it('gets none while it is cordoned, and one when it is uncordoned', async () => {
    await test.miglet({ state: 'ready.idle' });
    await cordon();
    const miglet = await test.miglet(AWAITING);
    beat(miglet, 'registering.awaitingCommand');
    await test.eventually<VmResource>('it waits', PATH, ({ state }) => state === AWAITING.state);
    expect(await commands()).toEqual([]);
    await uncordon();
    await until('it is registered', () => miglet.commands().length === 1);
    expect(miglet.commands()[0]).toMatchObject({ type: 'register_runner' });
  });

  it("keeps an operator's own registration waiting, which says why, and goes out when the cordon is lifted", async () => {
    const miglet = await test.miglet();
    await cordon({ reason: 'disk' });
    const body = { type: 'register_runner', parameters: {} };
    const { json } = await test.call<CommandResource>('POST', `${PATH}/commands`, { body });
    const path = `/api/v1/commands/${json.id}`;
    const waiting = await test.eventually<CommandResource>(
      'it says why',
      path,
      (c) => c.message !== undefined,
    );
    expect(waiting).toMatchObject({
      state: 'queued',
      message: 'the VM is cordoned by operator (disk): it is registered when it is uncordoned',
    });
    // The others go out as ever.
    await test.call('POST', `${PATH}/commands`, {
      body: { type: 'set_log_level', parameters: { level: 'debug' } },
    });
    await until('another is delivered', () => miglet.commands().length === 1);
    await uncordon();
    await until('it is registered', () => miglet.commands().some(({ id }) => id === json.id));
  });

  it('as a legacy MIGlet gets it when it is uncordoned, not when it connects', async () => {
    (await test.miglet({ bootId: '', state: '' })).finish();
    await cordon();
    const legacy = await test.miglet({ bootId: '', state: '' });
    await test.eventually<VmResource>('it is connected', PATH, ({ link }) => link === 'connected');
    const before = legacy.commands().length;
    await uncordon();
    await until('it is registered', () => legacy.commands().length > before);
  });

  it('over HTTP gets neither a token nor its command', async () => {
    await test.call('POST', `${PATH}/events`, {
      body: { type: 'vm_started', pool_id: 'pool-a', org_id: 'acme' },
    });
    await test.call('POST', `${PATH}/commands`, { body: { type: 'register_runner', parameters: {} } });
    await cordon();
    await refused('POST', `${PATH}/registration-token`, 409, 'vm-cordoned', {});
    expect((await test.call('GET', `${PATH}/commands`)).json['commands']).toEqual([]);
    await uncordon();
    expect((await test.call('POST', `${PATH}/registration-token`, { body: {} })).status).toBe(200);
    expect((await test.call('GET', `${PATH}/commands`)).json['commands']).toHaveLength(1);
  });
});

describe('who may have new jobs', () => {
  it('is what VMs can be filtered by: not the cordoned, the draining, the ended', async () => {
    await test.miglet({ vmId: 'a' });
    await test.miglet({ vmId: 'b', state: 'draining.finishingJob' });
    await test.miglet({ vmId: 'c' });
    const gone = await test.miglet({ vmId: 'd' });
    gone.send({ kind: 'event', event: vmEvent({ vmId: 'd', type: 'vm_shutting_down', sequence: 1 }) });
    await gone.next('eventAck');
    await test.call('POST', '/api/v1/vms/c/cordon', { body: { reason: '' } });
    const list = async (query: string) =>
      (await test.call<{ vms: VmResource[] }>('GET', `/api/v1/vms?${query}`)).json.vms.map((v) => v.vm_id);
    expect(await list('eligible=true')).toEqual(['a']);
    expect(await list('eligible=false')).toEqual(['b', 'c', 'd']);
    expect(await list('eligible=false&state=ready')).toEqual(['c']);
    await refused('GET', '/api/v1/vms?eligible=maybe', 400, 'bad-request');
  });

  it('of a VM that was never seen cannot be decided; a reason has its bounds', async () => {
    await refused('POST', '/api/v1/vms/nobody/cordon', 404, 'unknown-vm', {});
    await refused('POST', '/api/v1/vms/nobody/uncordon', 404, 'unknown-vm');
    await test.miglet();
    await refused('POST', `${PATH}/cordon`, 400, 'bad-request', { reason: 'x'.repeat(1_001) });
    expect((await uncordon()).status).toBe(200);
  });
});
