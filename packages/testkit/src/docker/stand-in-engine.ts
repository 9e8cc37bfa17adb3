/**
 * A Docker engine that is none: answers on a unix socket as the Engine API describes (v1.51), for machines without one.
 *
 * Its images are names; its containers are processes of this machine: `Cmd` is run as it is, without any container around it.
 * Pulls have layers and take their time; the image `registry.invalid/…` cannot be pulled.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { rmSync } from 'node:fs';

export interface StandInEngine {
  readonly socketPath: string;
  /** What was asked: `POST /containers/create`. */
  readonly requests: readonly string[];
  /** Names of containers that run. */
  running(): string[];
  containerCount(): number;
  close(): Promise<void>;
}

interface Container {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly spec: Spec;
  readonly frames: Buffer[];
  child: ChildProcess | undefined;
  exitCode: number | undefined;
  readonly watchers: Set<() => void>;
}

interface Spec {
  readonly Image: string;
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly Tty?: boolean;
}

const API_VERSION = '1.51';

/** @param images those that need no pull */
export async function startStandInEngine(
  socketPath: string,
  images: readonly string[] = [],
): Promise<StandInEngine> {
  const known = new Set(images.map(withTag));
  const containers = new Map<string, Container>();
  const requests: string[] = [];

  const find = (name: string): Container | undefined =>
    [...containers.values()].find(
      ({ id, name: own }) => own === name || (name.length >= 8 && id.startsWith(name)),
    );

  function start(container: Container): void {
    const [program = 'true', ...args] = container.spec.Cmd ?? [];
    const env = Object.fromEntries(
      (container.spec.Env ?? []).map((entry) => {
        const at = entry.indexOf('=');
        return [entry.slice(0, at), entry.slice(at + 1)];
      }),
    );
    const child = spawn(program, args, {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    container.child = child;
    container.exitCode = undefined;
    const keep = (type: number) => (data: Buffer) => {
      const head = Buffer.alloc(8);
      head[0] = type;
      head.writeUInt32BE(data.length, 4);
      container.frames.push(container.spec.Tty === true ? data : Buffer.concat([head, data]));
      for (const watcher of container.watchers) watcher();
    };
    child.stdout.on('data', keep(1));
    child.stderr.on('data', keep(2));
    const ended = (code: number) => {
      container.exitCode ??= code;
      container.child = undefined;
      for (const watcher of container.watchers) watcher();
    };
    child.once('error', () => ended(127));
    child.once('close', (code, signal) => ended(code ?? (signal === 'SIGKILL' ? 137 : 143)));
  }

  async function stop(container: Container, graceMs: number): Promise<void> {
    const { child } = container;
    if (child?.pid === undefined) return;
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const signal = (name: NodeJS.Signals) => {
      try {
        process.kill(-(child.pid ?? 0), name);
      } catch {
        // It has ended.
      }
    };
    signal('SIGTERM');
    const timer = setTimeout(() => signal('SIGKILL'), graceMs);
    await closed;
    clearTimeout(timer);
  }

  const server = http.createServer((request, response) => {
    void route(request, response).catch(() => response.destroy());
  });

  async function route(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://docker');
    const path = url.pathname.replace(/^\/v\d+\.\d+/, '');
    const { searchParams: query } = url;
    requests.push(`${request.method} ${path}`);
    const body = await readBody(request);
    const send = (status: number, value?: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json', 'api-version': API_VERSION });
      response.end(value === undefined ? undefined : `${JSON.stringify(value)}\n`);
    };
    if (path === '/_ping') {
      response.writeHead(200, { 'content-type': 'text/plain', 'api-version': API_VERSION });
      response.end('OK');
      return;
    }
    if (path === '/images/create') return pull(query.get('fromImage') ?? '', response);
    if (path === '/containers/json') {
      const all = query.get('all') === 'true';
      return send(
        200,
        [...containers.values()].filter(({ child }) => all || child !== undefined).map(listed),
      );
    }
    if (path === '/containers/create') {
      const spec = JSON.parse(body) as Spec;
      if (!known.has(withTag(spec.Image)))
        return send(404, { message: `No such image: ${withTag(spec.Image)}` });
      const id = randomBytes(32).toString('hex');
      const name = query.get('name') ?? `sleepy_${id.slice(0, 6)}`;
      if (find(name) !== undefined)
        return send(409, { message: `Conflict. The container name "/${name}" is already in use` });
      containers.set(id, {
        id,
        name,
        image: spec.Image,
        spec,
        frames: [],
        child: undefined,
        exitCode: undefined,
        watchers: new Set(),
      });
      return send(201, { Id: id, Warnings: [] });
    }
    const [, name = '', action = ''] = /^\/containers\/([^/]+)\/?(\w*)$/.exec(path) ?? [];
    const container = find(decodeURIComponent(name));
    if (container === undefined) return send(404, { message: `No such container: ${name}` });
    switch (`${request.method} ${action}`) {
      case 'GET json':
        return send(200, { Id: container.id, Config: { Tty: container.spec.Tty === true } });
      case 'POST start':
        if (container.child !== undefined) return send(304);
        start(container);
        return send(204);
      case 'POST stop':
        if (container.child === undefined) return send(304);
        await stop(container, Number(query.get('t') ?? 10) * 1_000);
        return send(204);
      case 'POST wait':
        response.writeHead(200, { 'content-type': 'application/json' });
        response.flushHeaders();
        await ended(container);
        response.end(JSON.stringify({ StatusCode: container.exitCode ?? 0 }));
        return;
      case 'GET logs':
        return logs(container, query, response);
      case 'DELETE ':
        if (container.child !== undefined) {
          if (query.get('force') !== 'true')
            return send(409, {
              message: `cannot remove container "/${container.name}": container is running: stop the container before removing or force remove`,
            });
          await stop(container, 0);
        }
        containers.delete(container.id);
        return send(204);
      default:
        return send(404, { message: 'page not found' });
    }
  }

  async function pull(image: string, response: http.ServerResponse): Promise<void> {
    response.writeHead(200, { 'content-type': 'application/json' });
    const say = (value: unknown): void => void response.write(`${JSON.stringify(value)}\r\n`);
    const tag = withTag(image).split(':').at(-1);
    say({ status: `Pulling from library/${image.split(':')[0]}`, id: tag });
    if (image.startsWith('registry.invalid/')) {
      const error = `Get "https://registry.invalid/v2/": dial tcp: lookup registry.invalid: no such host`;
      say({ error, errorDetail: { message: error } });
      response.end();
      return;
    }
    for (const layer of ['a1b2c3d4e5f6', 'f6e5d4c3b2a1']) {
      say({ status: 'Pulling fs layer', progressDetail: {}, id: layer });
      for (let current = 1; current <= 50; current += 1) {
        say({
          status: 'Downloading',
          progressDetail: { current, total: 50 },
          progress: `[${'='.repeat(current)}>] ${current}MB/50MB`,
          id: layer,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
      say({ status: 'Pull complete', progressDetail: {}, id: layer });
    }
    say({ status: `Status: Downloaded newer image for ${withTag(image)}` });
    known.add(withTag(image));
    response.end();
  }

  async function logs(
    container: Container,
    query: URLSearchParams,
    response: http.ServerResponse,
  ): Promise<void> {
    response.writeHead(200, { 'content-type': 'application/vnd.docker.multiplexed-stream' });
    response.flushHeaders();
    const tail = Number(query.get('tail'));
    let at = tail > 0 ? Math.max(0, container.frames.length - tail) : 0;
    let gone = false;
    response.once('close', () => {
      gone = true;
      for (const watcher of container.watchers) watcher();
    });
    while (!gone) {
      for (const frame of container.frames.slice(at)) {
        if (!response.write(frame)) await new Promise((resolve) => response.once('drain', resolve));
        at += 1;
      }
      if (query.get('follow') !== 'true' || (container.child === undefined && at === container.frames.length))
        break;
      await changed(container);
    }
    response.end();
  }

  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    socketPath,
    requests,
    running: () =>
      [...containers.values()].filter(({ child }) => child !== undefined).map(({ name }) => name),
    containerCount: () => containers.size,
    async close() {
      await Promise.all([...containers.values()].map((container) => stop(container, 0)));
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(socketPath, { force: true });
    },
  };
}

const withTag = (image: string): string =>
  (image.split('/').at(-1) ?? '').includes(':') ? image : `${image}:latest`;

const listed = (container: Container): unknown => ({
  Id: container.id,
  Names: [`/${container.name}`],
  Image: container.image,
  State: container.child === undefined ? 'exited' : 'running',
  Status: container.child === undefined ? `Exited (${container.exitCode ?? 0})` : 'Up 3 minutes',
  Created: 1_795_000_000,
});

const changed = (container: Container): Promise<void> =>
  new Promise((resolve) => {
    const watcher = (): void => {
      container.watchers.delete(watcher);
      resolve();
    };
    container.watchers.add(watcher);
  });

async function ended(container: Container): Promise<void> {
  while (container.exitCode === undefined) await changed(container);
}

async function readBody(request: http.IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request) text += String(part);
  return text;
}
