/** Agents of tasks and nodes, which have no boot: by the same tokens as VMs. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { silentLogger } from '@mig/common/logger';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { controllerConfigSchema } from '../config.js';
import { openAuth, type Auth } from './open-auth.js';
import { openTokenBook } from './token-book.js';

const clock = createManualClock();
const address = '10.0.0.7:4711';
let directory: string;
let auth: Auth;
let joinToken: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'mig-agents-'));
  const config = controllerConfigSchema.parse({ pools: { open: { allow_unauthenticated: true } } });
  const book = await openTokenBook(path.join(directory, '.auth', 'tokens.json'), clock);
  const common = { kind: 'join', name: 'agents', createdBy: 'test', expiresAt: undefined } as const;
  joinToken = (await book.create({ ...common, poolId: 'linux' })).secret;
  const known = new Map([
    ['vm-live', { poolId: 'linux', bootId: 'boot-1', ended: false, lost: false }],
    ['agent-open', { poolId: 'open', bootId: '', ended: false, lost: false }],
  ]);
  auth = await openAuth({
    dataDirectory: directory,
    config: config.auth,
    required: true,
    pools: config.pools,
    limits: config.limits,
    door: { charge: () => 0, turn: () => undefined, vouch: () => undefined, refuse: () => undefined },
    countVms: () => 0,
    clock,
    logger: silentLogger,
    vm: (vmId) => known.get(vmId),
    reach: {
      command: () => undefined,
      drain: () => undefined,
      task: () => undefined,
      job: () => undefined,
      agent: () => undefined,
    },
    absent: () => new Error('absent'),
    onClaimRefused: () => undefined,
    cut: () => undefined,
    certificateOf: () => undefined,
    loginFlags: '',
  });
});
afterAll(async () => {
  await auth.close();
  await rm(directory, { recursive: true, force: true });
});

const admit = (agentId: string, token: string | undefined, from = address) =>
  auth.gate.admitAgent({ agentId, token, address: from });

describe('an agent', () => {
  it('gets in by a join token, in the pool that the token is of', async () => {
    expect(await admit('agent-1', joinToken)).toMatchObject({
      vmId: 'agent-1',
      poolId: 'linux',
      via: 'join',
    });
  });

  it('of a VM that has joined gets in by its session, from the same address', async () => {
    const { session } = await auth.gate.admitStream({
      vmId: 'vm-live',
      poolId: 'linux',
      bootId: 'boot-1',
      bearer: joinToken,
      address,
    });
    expect(await admit('vm-live', session?.token)).toMatchObject({ bootId: 'boot-1', via: 'session' });
    await expect(admit('vm-live', session?.token, '10.0.0.8:1')).rejects.toMatchObject({
      code: 'unauthenticated',
    });
    await expect(admit('agent-1', session?.token)).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('under the name of a VM whose boot lives is refused, though its join token is good', async () => {
    await expect(admit('vm-live', joinToken)).rejects.toMatchObject({ code: 'vm-claimed' });
  });

  it('with a wrong token, or none, is refused; without one it gets in where its pool allows that', async () => {
    for (const token of ['your-auth-token', 'a.b.c', undefined])
      await expect(admit('agent-2', token)).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(await admit('agent-open', undefined)).toMatchObject({ via: 'none' });
  });
});
