/**
 * The one who asks: submits commands, cancels some, makes drains and takes some back, queues jobs, and writes down exactly what
 * it was told. What got no answer is asked again under the same Idempotency-Key.
 *
 * The commands of one VM are submitted one after the other, so that their order is known; those of different VMs side by side.
 */
import type { CommandResource } from '@mig/common/api/command-resource';
import type { DrainResource } from '@mig/common/api/drain-resource';
import { ApiRefusalError, type OperatorApi } from '../system/operator-api.js';
import type { StandInGitHub } from '../github/stand-in-github.js';
import { POOL, type DrainBody, type LoadAction } from './steps.js';

/** What a caller was told of one order. */
export interface Told<T> {
  readonly key: string;
  /** Every answer that said that it is accepted: the same one, if all is well. */
  readonly accepted: T[];
  /** Why it was refused for good. */
  refusal: string | undefined;
}

export interface ToldCommand extends Told<CommandResource> {
  readonly n: number;
  readonly vmId: string;
  readonly type: string;
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
  /** Said by a 200 to its cancel. */
  cancelled: boolean;
}

export interface ToldDrain extends Told<DrainResource> {
  readonly n: number;
  readonly body: DrainBody;
}

export interface QueuedJob {
  readonly name: string;
  readonly result: 'Succeeded' | 'Failed';
}

export interface Caller {
  act(action: LoadAction): void;
  /** Submits a command that no plan names. Resolves with what the caller was told. */
  submit(order: Pick<ToldCommand, 'vmId' | 'type' | 'parameters'>): Promise<ToldCommand>;
  /** Everything that was asked has an answer. */
  readonly isIdle: boolean;
  readonly commands: readonly ToldCommand[];
  readonly drains: readonly ToldDrain[];
  readonly jobs: readonly QueuedJob[];
  /** What went wrong in asking, that no injected fault explains. */
  readonly complaints: readonly string[];
}

/** Its own numbers begin above those of any plan. */
const FIRST_OWN_NUMBER = 1_000_000_000;

export function createCaller(api: OperatorApi, github: Pick<StandInGitHub, 'queueJob'>): Caller {
  const commands: ToldCommand[] = [];
  const byNumber = new Map<number, ToldCommand>();
  const drains: ToldDrain[] = [];
  const jobs: QueuedJob[] = [];
  const complaints: string[] = [];
  const lanes = new Map<string, Promise<unknown>>();
  const pending = new Set<Promise<unknown>>();
  let ownNumber = FIRST_OWN_NUMBER;

  function track<T>(work: Promise<T>): Promise<T> {
    const done: Promise<unknown> = work.then(
      () => pending.delete(done),
      (error: unknown) => {
        pending.delete(done);
        complaints.push(String(error));
      },
    );
    pending.add(done);
    return work;
  }

  function inLane(vmId: string, task: () => Promise<void>): Promise<void> {
    const done = (lanes.get(vmId) ?? Promise.resolve()).then(task);
    lanes.set(
      vmId,
      done.catch(() => undefined),
    );
    return track(done);
  }

  async function ask<T>(told: Told<T>, question: () => Promise<T>): Promise<void> {
    try {
      told.accepted.push(await question());
    } catch (error) {
      if (!(error instanceof ApiRefusalError)) throw error;
      told.refusal = error.message;
      // A VM that has not announced itself yet is not known, and one can have too much to do.
      if (![404, 409, 429].includes(error.status)) complaints.push(error.message);
    }
  }

  async function submit(
    told: ToldCommand,
    twice: boolean,
    deliveryDeadlineMs: number | undefined,
  ): Promise<void> {
    const order = {
      type: told.type,
      parameters: told.parameters,
      ...(deliveryDeadlineMs === undefined ? {} : { delivery_deadline_ms: deliveryDeadlineMs }),
    };
    const question = (): Promise<CommandResource> => api.submit(told.vmId, order, told.key);
    await ask(told, question);
    if (twice && told.accepted.length > 0) await ask(told, question);
  }

  function note(n: number, order: Pick<ToldCommand, 'vmId' | 'type' | 'parameters'>): ToldCommand {
    const told: ToldCommand = {
      n,
      ...order,
      key: `chaos-${n}`,
      accepted: [],
      refusal: undefined,
      cancelled: false,
    };
    commands.push(told);
    byNumber.set(n, told);
    return told;
  }

  async function cancel(n: number): Promise<void> {
    const told = byNumber.get(n);
    const id = told?.accepted[0]?.id;
    if (told === undefined || id === undefined) return;
    try {
      await api.cancel(id);
      told.cancelled = true;
    } catch (error) {
      // It has gone too far already, or an earlier try cancelled it and its answer was lost.
      if (!(error instanceof ApiRefusalError && error.status === 409)) throw error;
    }
  }

  async function makeDrain(n: number, body: DrainBody): Promise<void> {
    const told: ToldDrain = { n, body, key: `chaos-drain-${n}`, accepted: [], refusal: undefined };
    drains.push(told);
    const { selector, ...rest } = body;
    const request = {
      ...rest,
      selector: 'pool_id' in selector ? selector : { vm_ids: [...selector.vm_ids] },
    };
    await ask(told, () => api.createDrain(request, told.key));
  }

  async function takeDrainBack(n: number): Promise<void> {
    const id = drains.find((drain) => drain.n === n)?.accepted[0]?.id;
    if (id === undefined) return;
    try {
      await api.undrain(id);
    } catch (error) {
      if (!(error instanceof ApiRefusalError && error.status === 409)) throw error;
    }
  }

  return {
    act(action) {
      switch (action.do) {
        case 'submit': {
          const { n, vmId, type, parameters, twice, deliveryDeadlineMs } = action;
          const told = note(n, { vmId, type, parameters });
          void inLane(vmId, () => submit(told, twice, deliveryDeadlineMs)).catch(() => undefined);
          return;
        }
        case 'cancel':
          void track(cancel(action.n)).catch(() => undefined);
          return;
        case 'drain':
          void track(makeDrain(action.n, action.body)).catch(() => undefined);
          return;
        case 'undrain':
          void track(takeDrainBack(action.n)).catch(() => undefined);
          return;
        case 'job': {
          const { n, durationMs, result } = action;
          const job = github.queueJob({ name: `job-${n}`, durationMs, result, labels: [POOL] });
          jobs.push({ name: job.name, result });
        }
      }
    },
    async submit(order) {
      ownNumber += 1;
      const told = note(ownNumber, order);
      await inLane(order.vmId, () => submit(told, false, undefined));
      return told;
    },
    get isIdle() {
      return pending.size === 0;
    },
    commands,
    drains,
    jobs,
    complaints,
  };
}
