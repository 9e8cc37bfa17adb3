/** Questions over HTTP, against real servers. */
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { MAX_ANSWER_BYTES, askHttp } from './ask-http.js';

const { signal } = new AbortController();
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function listening(server: net.Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
async function serve(handler: http.RequestListener): Promise<string> {
  const server = http.createServer(handler);
  const at = await listening(server);
  closers.unshift(() => Promise.resolve(server.closeAllConnections()));
  return `http://${at}/`;
}

describe('a question', () => {
  it('brings its method, headers and text, and gets the answer whole', async () => {
    const asked: unknown[] = [];
    const url = await serve((request, response) => {
      let body = '';
      request.on('data', (part: Buffer) => (body += part.toString()));
      request.on('end', () => {
        const { method, headers } = request;
        asked.push([method, request.url, headers['x-test'], headers['content-length'], body]);
        response.writeHead(418, { 'retry-after': '7' });
        response.write('\ufeffgr\u00fc');
        response.end('\u00dfe');
      });
    });
    const answer = await askHttp(`${url}path?a=b`, {
      method: 'POST',
      headers: { 'x-test': 'yes' },
      body: '\u00fc',
      signal,
    });
    expect(answer).toMatchObject({
      statusCode: 418,
      text: 'gr\u00fc\u00dfe',
      headers: { 'retry-after': '7' },
    });
    await askHttp(url, { signal });
    await askHttp(url, { method: 'PUT', signal });
    expect(asked).toEqual([
      ['POST', '/path?a=b', 'yes', '2', '\u00fc'],
      ['GET', '/', undefined, undefined, ''],
      ['PUT', '/', undefined, '0', ''],
    ]);
  });

  it('does not follow where it is sent, nor tell a name or a password of the URL', async () => {
    const seen: unknown[] = [];
    const url = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    expect(await askHttp(url.replace('//', '//name:word@'), { signal })).toMatchObject({ statusCode: 302 });
    expect(seen).toEqual([undefined]);
  });

  it('goes by the same connection as the one before, if it is given one that is kept', async () => {
    const ports = new Set<number | undefined>();
    const url = await serve((request, response) => {
      ports.add(request.socket.remotePort);
      response.end();
    });
    const agent = new http.Agent({ keepAlive: true });
    for (let turn = 0; turn < 3; turn += 1) await askHttp(url, { signal, agent });
    expect(ports.size).toBe(1);
    await askHttp(url, { signal });
    expect(ports.size).toBe(2);
    agent.destroy();
  });
});

describe('a question without an answer', () => {
  it('says that nobody listens, in the words of the system', async () => {
    const server = net.createServer();
    const at = await listening(server);
    await closers.pop()?.();
    await expect(askHttp(`http://${at}/`, { signal })).rejects.toThrow(`connect ECONNREFUSED ${at}`);
  });

  it('ends with the reason of its signal: before it began, without a word, and in the middle of the answer', async () => {
    const ended = new AbortController();
    ended.abort(new Error('not wanted'));
    await expect(askHttp('http://127.0.0.1:1/', { signal: ended.signal })).rejects.toThrow('not wanted');

    let begin = (): void => undefined;
    const url = await serve((request, response) => {
      if (request.url === '/begun') response.write('half');
      begin();
    });
    for (const path of ['silent', 'begun']) {
      const abort = new AbortController();
      const begun = new Promise<void>((resolve) => (begin = resolve));
      const answer = askHttp(url + path, { signal: abort.signal });
      void begun.then(() => abort.abort(new Error('given up')));
      await expect(answer).rejects.toThrow('given up');
    }
    await expect(askHttp(`${url}silent`, { signal: AbortSignal.timeout(1) })).rejects.toThrow(
      'The operation was aborted due to timeout',
    );
  });

  it('says that the connection was not taken in time', async () => {
    // Its name is never found.
    const agent = new http.Agent({ lookup: () => undefined });
    await expect(
      askHttp('http://nobody.invalid:8080/', { signal, agent, connectWithinMs: 10 }),
    ).rejects.toThrow('Connect Timeout Error (attempted address: nobody.invalid:8080, timeout: 10ms)');
    agent.destroy();
  });

  it('fails when it breaks off', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.destroy());
    });
    await expect(askHttp(url, { signal })).rejects.toThrow(/aborted/);
  });

  it('is given up when the answer is endless', async () => {
    const part = Buffer.alloc(64 * 1024);
    const url = await serve((_request, response) => {
      const more = (): void => {
        while (response.write(part));
      };
      response.on('drain', more);
      more();
    });
    await expect(askHttp(url, { signal })).rejects.toThrow(`longer than ${MAX_ANSWER_BYTES} bytes`);
  });
});
