import { describe, expect, it } from '@jest/globals';
import { loadDescription, type Description } from './description.js';

const JIT = '/orgs/{org}/actions/runners/generate-jitconfig';

function find(description: Description, method: string, path: string) {
  const operation = description.find(method, path);
  if (operation === undefined) throw new Error(`${method} ${path} is not described`);
  return operation;
}

async function askJit(body: unknown, query = '') {
  const description = await loadDescription();
  return description.findRequestFaults(find(description, 'POST', JIT), {
    method: 'POST',
    path: '/orgs/acme/actions/runners/generate-jitconfig',
    query: new URLSearchParams(query),
    body,
  });
}

describe('a request', () => {
  it('as GitHub describes it has no faults', async () => {
    expect(await askJit({ name: 'vm-1', runner_group_id: 1, labels: ['self-hosted'] })).toEqual({
      path: [],
      query: [],
      body: [],
    });
  });

  it('has all its faults named at once, in the words of GitHub', async () => {
    const { body } = await askJit({ runner_group_id: '1', labels: [], work_folder: 3 });
    expect(body).toEqual([
      `"name" wasn't supplied.`,
      `For 'properties/runner_group_id', "1" is not an integer.`,
      `For 'properties/labels', [] is not right: it must NOT have fewer than 1 items.`,
      `For 'properties/work_folder', 3 is not a string.`,
    ]);
  });

  it.each([undefined, null, 'x', [1]])('with %p for a body is refused', async (body) => {
    expect((await askJit(body)).body).toHaveLength(1);
  });

  it('is told a query that does not exist or has the wrong type', async () => {
    const description = await loadDescription();
    const { query } = description.findRequestFaults(find(description, 'GET', '/orgs/{org}/actions/runners'), {
      method: 'GET',
      path: '/orgs/acme/actions/runners',
      query: new URLSearchParams('per_page=x&nmae=vm-1&page=2'),
      body: undefined,
    });
    expect(query).toEqual([
      `"nmae" is not a permitted key.`,
      `For 'query/per_page', the value is not an integer.`,
    ]);
  });
});

describe('an answer', () => {
  it.each([
    ['lacks fields', 200, { id: 1 }],
    ['has a time that is none', 200, { token: 'A', expires_at: 'soon' }],
    ['has a status that GitHub does not give', 202, {}],
    ['is a refusal without a message', 404, {}],
    ['is not modified and has a body', 304, {}],
  ])('that %s is wrong', async (_what, status, body) => {
    const description = await loadDescription();
    const path = 'token' in body ? 'registration-token' : '{runner_id}';
    const method = 'token' in body ? 'POST' : 'GET';
    const operation = find(description, method, `/orgs/{org}/actions/runners/${path}`);
    expect(description.findAnswerFaults(operation, 'token' in body ? 201 : status, body)).not.toEqual([]);
  });

  it('may be a refusal that GitHub does not list, if it has the shape of one', async () => {
    const description = await loadDescription();
    const operation = find(description, 'GET', '/orgs/{org}/actions/runners/{runner_id}');
    const error = { message: 'Not Found', documentation_url: 'https://docs.github.com/rest' };
    expect(description.findAnswerFaults(operation, 404, error)).toEqual([]);
  });
});
