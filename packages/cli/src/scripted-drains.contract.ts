/** Drains and cordons of the scripted controller: it answers as the operator API does, and moves nothing by itself. */
import type { ServerResponse } from 'node:http';
import {
  createDrainSchema,
  drainListSchema,
  drainSchema,
  type DrainResource,
  type DrainVmResource,
} from '@mig/common/api/drain-resource';
import { cordonBodySchema, vmSchema, type VmResource } from '@mig/common/api/vm-resource';
import {
  DEFAULT_DRAIN_DEADLINE_MS,
  DRAIN_VM_STATES,
  isDrainVmFinal,
  type DrainVmState,
} from '@mig/common/domain/drain';
import { phaseOf } from '@mig/common/domain/vm-state';

/** How an answer is given; `problem` is an error. */
export interface Replies {
  reply(response: ServerResponse, status: number, body: unknown): void;
  problem(response: ServerResponse, status: number, code: string, detail: string): void;
}

const countsOf = (vms: readonly DrainVmResource[]): DrainResource['counts'] => ({
  ...(Object.fromEntries(DRAIN_VM_STATES.map((state) => [state, 0])) as Record<DrainVmState, number>),
  ...Object.fromEntries(
    DRAIN_VM_STATES.map((state) => [state, vms.filter((vm) => vm.state === state).length]),
  ),
});

export class ScriptedDrains {
  readonly all = new Map<string, DrainResource>();
  /** State and reason of each VM of a drain that was just made. */
  firstVm: Partial<DrainVmResource> = { state: 'draining' };
  pageSize = 1_000;
  private readonly byKey = new Map<string, string>();

  /** @param timeOf the time this long ago */
  constructor(
    private readonly vms: Map<string, VmResource>,
    private readonly timeOf: (agoMs: number) => string,
    private readonly replies: Replies,
  ) {}

  add(vms: Readonly<Record<string, Partial<DrainVmResource>>>, fields: Partial<DrainResource> = {}): string {
    const id = fields.id ?? `drain-${this.all.size + 1}`;
    const entries = Object.entries(vms).map(([vmId, vm]) => ({
      vm_id: vmId,
      boot_id: this.vms.get(vmId)?.boot_id ?? 'boot-1',
      state: 'draining' as const,
      started_at: this.timeOf(0),
      ...vm,
    }));
    this.all.set(id, {
      id,
      selector: { vm_ids: Object.keys(vms) },
      reason: '',
      created_by: 'operator',
      created_at: this.timeOf(0),
      deadline_ms: DEFAULT_DRAIN_DEADLINE_MS,
      force: false,
      then: 'keep',
      state: 'active',
      counts: countsOf(entries),
      vms: entries,
      ...fields,
    });
    return id;
  }

  /** Changes one VM of the newest drain; the drain has ended when all of its VMs have. @param atMs how much later it is */
  changeVm(vmId: string, fields: Partial<DrainVmResource>, atMs = 0): void {
    const drain = [...this.all.values()].at(-1);
    if (drain === undefined) throw new Error('no drain was made');
    const ends = fields.state !== undefined && isDrainVmFinal(fields.state);
    const vms = drain.vms.map((vm): DrainVmResource => {
      if (vm.vm_id !== vmId) return vm;
      return { ...vm, ...(ends ? { reason: undefined, finished_at: this.timeOf(-atMs) } : {}), ...fields };
    });
    const over = vms.every(({ state }) => isDrainVmFinal(state));
    this.all.set(drain.id, {
      ...drain,
      vms,
      counts: countsOf(vms),
      ...(over && drain.state === 'active'
        ? { state: 'completed' as const, finished_at: this.timeOf(-atMs) }
        : {}),
    });
  }

  answer(
    request: {
      readonly method: string;
      readonly query: URLSearchParams;
      readonly body: unknown;
      readonly key: string | undefined;
    },
    id: string,
    response: ServerResponse,
  ): void {
    const { reply, problem } = this.replies;
    if (id === '' && request.method === 'POST') return this.create(request.body, request.key, response);
    if (id === '') return this.list(request.query, response);
    const drain = this.all.get(id);
    if (drain === undefined) return problem(response, 404, 'unknown-drain', `drain ${id} is not known`);
    if (request.method === 'DELETE') {
      if (drain.state === 'completed') {
        return problem(response, 409, 'drain-ended', `drain ${id} has ended: there is nothing to take back`);
      }
      this.cancel(drain);
    }
    reply(response, 200, drainSchema.parse(this.all.get(id)));
  }

  /** `POST …/cordon` and `…/uncordon`. */
  cordon(vm: VmResource, part: 'cordon' | 'uncordon', body: unknown, response: ServerResponse): void {
    const eligible = part === 'uncordon' && vm.drain_id === undefined && phaseOf(vm.state) !== 'draining';
    const cordon =
      part === 'cordon'
        ? {
            cordon: { reason: cordonBodySchema.parse(body ?? {}).reason, by: 'operator', at: this.timeOf(0) },
          }
        : { cordon: undefined };
    this.vms.set(vm.vm_id, { ...vm, ...cordon, eligible });
    this.replies.reply(response, 200, vmSchema.parse(this.vms.get(vm.vm_id)));
  }

  private create(body: unknown, key: string | undefined, response: ServerResponse): void {
    const { reply, problem } = this.replies;
    const request = createDrainSchema.safeParse(body);
    if (!request.success) return problem(response, 400, 'bad-request', request.error.message);
    const before = key === undefined ? undefined : this.byKey.get(key);
    if (before !== undefined) return reply(response, 202, drainSchema.parse(this.all.get(before)));
    const { selector, max_unavailable: most, ...fields } = request.data;
    const unknown = (selector.vm_ids ?? []).filter((vmId) => !this.vms.has(vmId));
    if (unknown.length > 0) {
      const named = `${unknown.length} of the VMs were never seen by this controller: ${unknown.join(', ')}`;
      return problem(response, 400, 'bad-drain', `${named}; check the names with "migctl get vms"`);
    }
    const selected = [...this.vms.values()].filter(
      (vm) =>
        selector.vm_ids?.includes(vm.vm_id) ??
        (phaseOf(vm.state) !== 'shutdown' &&
          vm.pool_id === (selector.pool_id ?? vm.pool_id) &&
          (selector.labels ?? []).every((label) => (vm.runner?.labels ?? vm.labels).includes(label))),
    );
    if (selected.length === 0) {
      const what = selector.pool_id === undefined ? 'there is no VM' : `pool ${selector.pool_id} has no VM`;
      return problem(response, 400, 'bad-drain', `${what} that could be drained: see "migctl get vms"`);
    }
    const id = this.add(Object.fromEntries(selected.map(({ vm_id }) => [vm_id, this.firstVm])), {
      ...fields,
      selector,
      deadline_ms: fields.deadline_ms ?? DEFAULT_DRAIN_DEADLINE_MS,
      ...(most === undefined ? {} : { max_unavailable: most }),
    });
    if (key !== undefined) this.byKey.set(key, id);
    reply(response, 202, drainSchema.parse(this.all.get(id)));
  }

  private list(query: URLSearchParams, response: ServerResponse): void {
    const wanted = [...this.all.values()].filter(({ state }) => state === (query.get('state') ?? state));
    const from = Number(query.get('cursor') ?? 0);
    const to = from + this.pageSize;
    const more = to < wanted.length ? { next_cursor: String(to) } : {};
    this.replies.reply(response, 200, drainListSchema.parse({ drains: wanted.slice(from, to), ...more }));
  }

  private cancel(drain: DrainResource): void {
    const vms = drain.vms.map((vm): DrainVmResource => {
      const goesOn = isDrainVmFinal(vm.state) || vm.state === 'shuttingDown';
      const undrained = { state: 'cancelled', message: 'undrained', reason: undefined } as const;
      return goesOn ? vm : { ...vm, ...undrained, finished_at: this.timeOf(0) };
    });
    this.all.set(drain.id, {
      ...drain,
      state: 'cancelled',
      finished_at: this.timeOf(0),
      vms,
      counts: countsOf(vms),
    });
  }
}
