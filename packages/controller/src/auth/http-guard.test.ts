/** What is answered only when it is in the audit log on the disk. */
import fastify from 'fastify';
import { describe, expect, it } from '@jest/globals';
import type { AuditFact } from '@mig/common/domain/audit';
import { withTypes } from '../http/app.js';
import { guardRoutes, type HttpGuardDeps } from './http-guard.js';

async function guardedApp() {
  const requested: string[] = [];
  const entered: { readonly fact: AuditFact; readonly keep: () => void }[] = [];
  let onEntered = (): void => undefined;
  const app = withTypes(fastify());
  guardRoutes(app, {
    certificateOf: () => undefined,
    operators: {
      identify: () =>
        Promise.resolve({
          kind: 'known',
          principal: { kind: 'operator', name: 'ann', id: 'token-1', grants: { '*': 'admin' }, via: 'token' },
        }),
    },
    audit: {
      record: () => undefined,
      commit: (fact) =>
        new Promise((resolve) => {
          entered.push({ fact, keep: () => resolve(true) });
          onEntered();
        }),
    },
    limits: {
      request: (id: string) => void requested.push(id),
      message: () => 0,
      bytes: () => undefined,
      assertTaken: () => undefined,
    },
    door: { charge: () => 0, turn: () => undefined, vouch: () => undefined, refuse: () => undefined },
    reach: {
      vm: () => 'linux',
      command: () => undefined,
      drain: () => undefined,
      task: () => undefined,
      job: () => undefined,
      agent: () => undefined,
      token: () => undefined,
    },
  } as Partial<HttpGuardDeps> as HttpGuardDeps);
  app.post('/api/v1/vms/:vm_id/cordon', () => ({ cordoned: true }));
  await app.ready();
  const firstEntry = new Promise<void>((resolve) => (onEntered = resolve));
  return { app, entered, requested, firstEntry };
}

describe('a change by an operator', () => {
  it('is answered when its entry is on the disk, and not before', async () => {
    const { app, entered, firstEntry } = await guardedApp();
    let answered = false;
    const answer = app.inject({ method: 'POST', url: '/api/v1/vms/vm-1/cordon' }).then((response) => {
      answered = true;
      return response;
    });
    await firstEntry;
    await new Promise(setImmediate);
    expect([answered, entered[0]?.fact.actor]).toEqual([false, 'operator:ann (token-1)']);
    entered[0]?.keep();
    expect((await answer).statusCode).toBe(200);
    await app.close();
  });

  it('counts against the credential, not against its name, which others may have too', async () => {
    const { app, entered, requested, firstEntry } = await guardedApp();
    const answer = app.inject({ method: 'POST', url: '/api/v1/vms/vm-1/cordon' });
    await firstEntry;
    entered[0]?.keep();
    await answer;
    expect(requested).toEqual(['token-1']);
    await app.close();
  });
});
