import { afterEach, describe, expect, it } from '@jest/globals';
import type { WhyResource } from '@mig/common/api/job-resource';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { offered, startTestJobs, type TestJobs } from './test-jobs.contract.js';

let test: TestJobs;
afterEach(() => test.dispose());

describe('which job is next', () => {
  it('the one of the highest priority, then the oldest; and one that has waited long enough comes first', async () => {
    const clock = createManualClock();
    test = await startTestJobs({ clock });
    const old = await test.submit({ name: 'old', priority: 50 });
    clock.advance(1_000);
    const low = await test.submit({ name: 'low', priority: 49 });
    const high = await test.submit({ name: 'high', priority: 60 });
    const n1 = await test.node('n1');
    const order: string[] = [];
    for (let at = 0; at < 2; at += 1) {
      const id = await offered(n1);
      await n1.claimJob(id);
      order.push(id);
    }
    expect(order).toEqual([high.id, old.id]);
    clock.advance(20 * 60_000);
    await n1.heartbeat();
    const newer = await test.submit({ name: 'newer', priority: 50 });
    expect(await offered(n1)).toBe(low.id);
    expect(newer.state).toBe('queued');
  });

  it('between submitters, those with fewer jobs on nodes', async () => {
    test = await startTestJobs();
    for (let at = 0; at < 6; at += 1) await test.submit({}, { 'x-submitter': 'greedy' });
    const modest = [
      await test.submit({}, { 'x-submitter': 'modest' }),
      await test.submit({}, { 'x-submitter': 'modest' }),
    ];
    const n1 = await test.node('n1');
    const taken: string[] = [];
    for (let at = 0; at < 4; at += 1) {
      const id = await offered(n1);
      await n1.claimJob(id);
      taken.push(id);
    }
    for (const { id } of modest) expect(taken).toContain(id);
  });

  it('only one that fits what the node is and has free; and of one that fits none it is said why', async () => {
    test = await startTestJobs();
    const n1 = await test.node('n1', {
      ram_mb: 1_000,
      metadata: { datacenter: 'dc1', labels: 'gpu,large', kernel: '6.1' },
    });
    await test.node('n2', { ram_mb: 9_000, metadata: { datacenter: 'dc2' } });
    const big = await test.submit({ name: 'big', resources: { ram_mb: 8_192 }, datacenters: ['dc1'] });
    const why = (await test.call<WhyResource>('GET', `/api/v1/jobs/${big.id}/why`)).json;
    expect(why).toMatchObject({ fitting_nodes: 0, summary: '1 node lacks 8192 MB of memory, 1 is in dc2' });
    expect(await n1.claimJob(big.id)).toMatchObject({
      ok: false,
      message: expect.stringContaining('8192 MB'),
    });
    expect(await offered(n1)).toBe('');
    const fits = await test.submit({
      resources: { ram_mb: 600 },
      constraints: [
        { attribute: 'labels', operator: 'in', value: ['gpu', 'tpu'] },
        { attribute: 'kernel', operator: '>=', value: 6 },
        { attribute: 'node_id', operator: 'regexp', value: '^n' },
        { attribute: 'labels', operator: '!=', value: 'small' },
      ],
    });
    expect(await offered(n1)).toBe(fits.id);
    await n1.claimJob(fits.id);
    const second = await test.submit({
      resources: { ram_mb: 600 },
      constraints: [{ attribute: 'labels', operator: '==', value: 'gpu' }],
    });
    expect(await offered(n1)).toBe('');
    expect((await test.call<WhyResource>('GET', `/api/v1/jobs/${second.id}/why`)).json.summary).toContain(
      'has now no 600 MB of memory',
    );
    await n1.updateStatus(fits.id, 'completed');
    expect(await offered(n1)).toBe(second.id);
  });

  it('a new one is left a moment for the node that has less to do, if that has just asked', async () => {
    const clock = createManualClock();
    test = await startTestJobs({ clock });
    const [n1, n2] = [await test.node('n1'), await test.node('n2')];
    const first = await test.submit({ resources: { ram_mb: 100 } });
    await n1.claimJob(first.id);
    expect(await offered(n2)).toBe('');
    const second = await test.submit();
    expect(await offered(n1)).toBe('');
    expect(await offered(n2)).toBe(second.id);
    clock.advance(5_000);
    expect(await offered(n1)).toBe(second.id);
  });
});
