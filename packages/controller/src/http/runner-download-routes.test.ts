/** What a MIGlet is told to install, over real HTTP. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { startTestController, type TestController } from '../test-controller.contract.js';
import { expectProblem } from './expect-problem.contract.js';

let test: TestController;
afterEach(() => test.dispose());

const target = (query: string) => `/api/v1/runner-downloads?${query}`;
const ask = (query: string) => test.call('GET', target(query));
const problem = (query: string) => expectProblem(test, 'GET', target(query));
const announce = () =>
  test.call('POST', '/api/v1/vms/vm-1/events', {
    body: { type: 'vm_started', pool_id: 'pool-a', org_id: 'acme' },
  });

describe('the runner to install', () => {
  it('is what GitHub offers for the system and the architecture, asked for once', async () => {
    test = await startTestController({ withGitHub: true });
    await announce();
    expect(await ask('os=linux&architecture=x64')).toMatchObject({
      status: 200,
      json: {
        version: '2.336.0',
        url: 'https://runner-downloads.invalid/v2.336.0/actions-runner-linux-x64-2.336.0.tar.gz',
        sha256: '0'.repeat(64),
      },
    });
    await Promise.all(['linux', 'osx'].map((os) => ask(`os=${os}&architecture=arm64`)));
    expect(test.github.requests().filter(({ route }) => route === 'list-downloads')).toHaveLength(1);
    expect(test.github.violations()).toEqual([]);
  });

  it('that GitHub does not have is 404, and says what there is', async () => {
    test = await startTestController({ withGitHub: true });
    await announce();
    expect(await problem('os=plan9&architecture=x64')).toMatchObject({
      status: 404,
      type: expect.stringMatching(/unknown-runner-download$/) as unknown,
      detail: 'GitHub offers no runner for plan9/x64; it offers linux/x64, linux/arm64, osx/arm64, win/x64',
    });
    expect(await problem('os=linux')).toMatchObject({ status: 400 });
  });

  it('is 503 with a time while GitHub cannot be asked, or nobody said where', async () => {
    test = await startTestController({ withGitHub: true });
    expect(await problem('os=linux&architecture=x64')).toMatchObject({
      status: 503,
      detail: expect.stringContaining('no organization is known') as unknown,
    });
    await announce();
    test.github.faults.failNext('list-downloads', { status: 429 });
    const limited = await ask('os=linux&architecture=x64');
    expect(limited).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
  });

  it('is 404 from a controller that has no GitHub', async () => {
    test = await startTestController();
    expect(await problem('os=linux&architecture=x64')).toMatchObject({
      status: 404,
      type: expect.stringMatching(/no-github$/) as unknown,
    });
  });
});
