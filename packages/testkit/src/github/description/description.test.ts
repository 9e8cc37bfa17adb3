import { describe, expect, it } from '@jest/globals';
import { loadDescription } from './description.js';

describe('x', () => {
  it('loads', async () => {
    const t = performance.now();
    const d = await loadDescription();
    console.log(performance.now() - t, d.operations.length);
    const op = d.find('POST', '/orgs/{org}/actions/runners/generate-jitconfig')!;
    const ask = (body: unknown, path = '/orgs/acme/actions/runners/generate-jitconfig', q = '') => d.findRequestFaults(op, { method: 'POST', path, query: new URLSearchParams(q), body });
    console.log(JSON.stringify([ask({ name: 'x', runner_group_id: 1, labels: ['a'] }), ask({ runner_group_id: '1', labels: [], work_folder: 3 }), ask(undefined), ask(null), ask('x'), ask([1]),ask({ name: 'x', runner_group_id: 1, labels: ['a', 3] },undefined, 'a=b&a=c')], null, 1));
    const get = d.find('GET', '/orgs/{org}/actions/runners/{runner_id}')!;
    console.log(JSON.stringify([d.findRequestFaults(get, { method: 'GET', path: '/orgs/acme/actions/runners/abc', query: new URLSearchParams(), body: undefined }),
    d.findRequestFaults(d.find('GET','/orgs/{org}/actions/runners')!, { method: 'GET', path: '/orgs/acme/actions/runners', query: new URLSearchParams('per_page=x&foo=3&name=2'), body: undefined }),
    d.findAnswerFaults(get, 200, { id: 1 }), d.findAnswerFaults(get, 404, { id: 1 }), d.findAnswerFaults(get, 304, undefined), d.findAnswerFaults(get, 201, {}),
    d.findAnswerFaults(d.find('DELETE','/orgs/{org}/actions/runners/{runner_id}')!, 204, undefined),
    d.findAnswerFaults(d.find('POST','/orgs/{org}/actions/runners/registration-token')!, 201, {token:'x',expires_at:'nodate'}),
    ]));
    console.log(performance.now() - t, process.memoryUsage().rss / 1e6);
    expect(1).toBe(1);
  });
});
