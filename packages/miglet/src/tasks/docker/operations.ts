/**
 * What a task asks of the Docker engine. What the engine refuses, and an engine that is not there, is a failure with its reason.
 *
 * A container that a task runs ends with the task: cancelled or out of time, it is stopped, with the grace of the task. One that
 * is detached goes on.
 */
import { errorMessage } from '@mig/common/errors';
import type { DockerContainer, DockerOperation } from '@mig/common/domain/task';
import type { OutputChunk } from '@mig/common/domain/task-messages';
import { createSplitter, failed, succeeded, type TaskOutput, type TaskResult } from '../task-output.js';
import { createSpec } from './container-spec.js';
import { EngineError, type Engine } from './engine.js';
import { readFrames, readPlain } from './log-stream.js';
import { pullImage } from './pull.js';

export interface DockerOptions {
  readonly engine: Engine;
  readonly graceMs: number;
  readonly rawOutput: boolean;
  readonly output: TaskOutput;
  /** Ends the task. */
  readonly signal: AbortSignal;
}

type Run = Extract<DockerOperation, { kind: 'run' }>;

/** A container that is to be stopped gets so long beyond its grace. */
const STOP_MS = 20_000;

/** Never rejects. */
export async function runDocker(operation: DockerOperation, options: DockerOptions): Promise<TaskResult> {
  try {
    return await perform(operation, options);
  } catch (error) {
    if (options.signal.aborted) return failed('');
    return failed(error instanceof EngineError ? error.message : `docker failed: ${errorMessage(error)}`);
  }
}

async function perform(operation: DockerOperation, options: DockerOptions): Promise<TaskResult> {
  const { engine, signal } = options;
  switch (operation.kind) {
    case 'run':
      return run(operation, options);
    case 'start':
      await engine.ask({ method: 'POST', path: `${container(operation.container)}/start`, signal });
      return { ...succeeded, containerId: operation.container };
    case 'stop':
      await stop(engine, operation.container, operation.timeout || undefined, signal);
      return { ...succeeded, containerId: operation.container };
    case 'logs': {
      const { tail, follow, timestamps } = operation;
      const query = { follow, timestamps, tail: tail === 0 ? 'all' : tail };
      await showLogs(operation.container, query, options);
      return { ...succeeded, containerId: operation.container };
    }
    case 'pull':
      await pullImage(engine, operation.image, signal, sayTo(options));
      return succeeded;
    case 'remove': {
      const query = { force: operation.force, v: operation.volumes };
      await engine.ask({ method: 'DELETE', path: container(operation.container), query, signal });
      return { ...succeeded, containerId: operation.container };
    }
    case 'list': {
      const query = { all: operation.all };
      const found = await engine.ask<Listed[]>({ method: 'GET', path: '/containers/json', query, signal });
      return { ...succeeded, containers: found.map(toContainer) };
    }
  }
}

async function run(operation: Run, options: DockerOptions): Promise<TaskResult> {
  const { engine, signal, graceMs } = options;
  const say = sayTo(options);
  if (operation.pull) await pullImage(engine, operation.image, signal, say);
  const create = () =>
    engine.ask<{ Id: string; Warnings?: string[] | null }>({
      method: 'POST',
      path: '/containers/create',
      query: { name: operation.name || undefined },
      body: createSpec(operation),
      signal,
    });
  const { Id: id, Warnings: warnings } = await create().catch(async (error: unknown) => {
    if (!(error instanceof EngineError) || error.status !== 404) throw error;
    await pullImage(engine, operation.image, signal, say);
    return create();
  });
  for (const warning of warnings ?? []) await say(`warning: ${warning}`);
  try {
    await engine.ask({ method: 'POST', path: `${container(id)}/start`, signal });
    if (operation.detach) return { ...succeeded, containerId: id };
    await showLogs(id, { follow: true }, options);
    const { StatusCode: exitCode } = await engine.ask<{ StatusCode: number }>({
      method: 'POST',
      path: `${container(id)}/wait`,
      signal,
      headWithinMs: 0,
    });
    return { success: exitCode === 0, exitCode, signal: '', message: '', containerId: id };
  } catch (error) {
    // What the task began is not left to run; nobody waits for it.
    if (!operation.detach)
      await stop(engine, id, Math.ceil(graceMs / 1_000), undefined).catch(() => undefined);
    if (signal.aborted) return { ...failed(''), containerId: id };
    throw error;
  } finally {
    if (operation.rm && !operation.detach) await remove(engine, id);
  }
}

const remove = (engine: Engine, id: string): Promise<unknown> =>
  engine
    .ask({ method: 'DELETE', path: container(id), query: { force: true, v: true } })
    .catch(() => undefined);

/** @param timeoutS until it is killed; undefined = as the engine has it */
async function stop(
  engine: Engine,
  id: string,
  timeoutS: number | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  await engine.ask({
    method: 'POST',
    path: `${container(id)}/stop`,
    query: { t: timeoutS },
    signal,
    headWithinMs: (timeoutS ?? 10) * 1_000 + STOP_MS,
  });
}

async function showLogs(
  id: string,
  query: Readonly<Record<string, string | number | boolean>>,
  options: DockerOptions,
): Promise<void> {
  const { engine, signal, output, rawOutput } = options;
  const details = await engine.ask<{ Config?: { Tty?: boolean } }>({
    method: 'GET',
    path: `${container(id)}/json`,
    signal,
  });
  const body = await engine.open({
    method: 'GET',
    path: `${container(id)}/logs`,
    query: { stdout: true, stderr: true, ...query },
    signal,
  });
  const splitters = { stdout: createSplitter(rawOutput), stderr: createSplitter(rawOutput) };
  const chunks: AsyncIterable<OutputChunk> =
    details.Config?.Tty === true ? readPlain(body) : readFrames(body);
  for await (const { stream, data } of chunks)
    for (const piece of splitters[stream].push(data)) await output.write(stream, piece);
  for (const stream of ['stdout', 'stderr'] as const)
    for (const piece of splitters[stream].flush()) await output.write(stream, piece);
}

/** Lines about the work, on standard error. */
function sayTo({ output }: DockerOptions): (line: string) => Promise<void> {
  return async (line) => {
    for (const piece of createSplitter(false).push(Buffer.from(`${line}\n`)))
      await output.write('stderr', piece);
  };
}

const container = (id: string): string => `/containers/${encodeURIComponent(id)}`;

interface Listed {
  readonly Id: string;
  readonly Names?: readonly string[];
  readonly Image?: string;
  readonly State?: string;
  readonly Status?: string;
  readonly Created?: number;
}

const toContainer = (listed: Listed): DockerContainer => ({
  id: listed.Id,
  // The engine writes a slash before each.
  names: (listed.Names ?? []).map((name) => name.replace(/^\//, '')),
  image: listed.Image ?? '',
  state: listed.State ?? '',
  status: listed.Status ?? '',
  created: listed.Created ?? 0,
});
