/**
 * The VMs that do what they should, and the operator who commands them, in one process:
 * `node packages/testkit/dist/hostile/honest/honest-main.js SETTINGS.json`.
 *
 * Commands go out at a steady rate, whatever becomes of those before; one that is late to go out, because this process or the
 * controller is, counts from when it should have gone. Each second one VM connects anew. What came of them is written as JSON
 * lines, times in milliseconds since 1970. Ends by SIGTERM, or with its parent.
 */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { errorMessage } from '@mig/common/errors';
import { endWithParent } from '../../system/end-with-parent.js';
import { startHonestVm, type HonestVm } from './honest-vm.js';
import { OPERATOR_ADDRESS, joinVm, post } from './join.js';

export interface HonestSettings {
  readonly http: string;
  readonly grpc: string;
  readonly poolId: string;
  readonly joinToken: string;
  readonly operatorToken: string;
  readonly vms: number;
  /** Commands in a second. */
  readonly rate: number;
  /** It is sent commands too, which it need not answer; a few in a second. */
  readonly hostileVmId: string;
  readonly parentPid: number;
}

export type HonestLine =
  | { readonly event: 'ready' }
  | {
      readonly event: 'done';
      /** `[when it should go out, milliseconds until it was recorded, milliseconds until it was accepted]` */
      readonly commands: readonly (readonly [at: number, tookMs: number, acceptedMs: number])[];
    }
  | { readonly event: 'reconnected'; readonly at: number; readonly tookMs: number }
  | { readonly event: 'trouble'; readonly at: number; readonly what: string }
  | {
      readonly event: 'state';
      readonly at: number;
      /** How late this process itself was, at most, since the last. */
      readonly lagMs: number;
      /** The age of the oldest command that is not recorded. */
      readonly oldestMs: number;
    };

const TELL_MS = 250;
const HEARTBEAT_MS = 5_000;
const JOINS_AT_ONCE = 10;
const HOSTILE_ORDER_MS = 100;
/** An answer that takes longer counts as none. */
const LOST_MS = 30_000;
const ORDER = { type: 'set_log_level', parameters: { level: 'info' } };

const print = (line: HonestLine): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const epochMs = (): number => performance.timeOrigin + performance.now();
const trouble = (what: string): void => print({ event: 'trouble', at: epochMs(), what });

interface Order {
  readonly at: number;
  acceptedMs: number | undefined;
  recordedMs: number | undefined;
}

async function main(): Promise<void> {
  const settings = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as HonestSettings;
  endWithParent(settings.parentPid);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16, localAddress: OPERATOR_ADDRESS });
  /** By the id of the command. */
  const orders = new Map<string, Order>();
  /** When each that is not recorded should have gone out, oldest first. */
  const waiting = new Set<number>();
  /** Recorded before this process knew the id. */
  const early = new Map<string, number>();
  let done: (readonly [number, number, number])[] = [];

  function settle(id: string, order: Order): void {
    if (order.acceptedMs === undefined || order.recordedMs === undefined) return;
    orders.delete(id);
    waiting.delete(order.at);
    done.push([order.at, Math.max(order.recordedMs, order.acceptedMs), order.acceptedMs]);
  }

  const onRecorded = (id: string): void => {
    const order = orders.get(id);
    if (order === undefined) {
      early.set(id, epochMs());
      return;
    }
    order.recordedMs = epochMs() - order.at;
    settle(id, order);
  };

  const vms: HonestVm[] = [];
  for (let first = 1; first <= settings.vms; first += JOINS_AT_ONCE) {
    const count = Math.min(JOINS_AT_ONCE, settings.vms - first + 1);
    const joined = Array.from({ length: count }, async (_, index) => {
      const vmId = `vm-${first + index}`;
      const session = await joinVm(settings.http, { ...settings, vmId });
      return startHonestVm({
        ...settings,
        vmId,
        session,
        heartbeatMs: HEARTBEAT_MS,
        onRecorded,
        onCut: (reason) => trouble(`the stream of ${vmId} was ended: ${reason}`),
      });
    });
    vms.push(...(await Promise.all(joined)));
  }

  const submit = (vmId: string) =>
    post(settings.http, `/api/v1/vms/${vmId}/commands`, {
      token: settings.operatorToken,
      body: ORDER,
      agent,
    });

  async function order(at: number, vmId: string): Promise<void> {
    waiting.add(at);
    try {
      const { status, json } = await submit(vmId);
      if (status !== 202) {
        waiting.delete(at);
        trouble(`a command was answered ${status}`);
        return;
      }
      const id = String(json['id']);
      const mine: Order = { at, acceptedMs: epochMs() - at, recordedMs: undefined };
      orders.set(id, mine);
      const recordedAt = early.get(id);
      if (recordedAt === undefined) return;
      early.delete(id);
      mine.recordedMs = recordedAt - at;
      settle(id, mine);
    } catch (error) {
      waiting.delete(at);
      trouble(`a command got no answer: ${errorMessage(error)}`);
    }
  }

  print({ event: 'ready' });
  const everyMs = 1_000 / settings.rate;
  let dueAt = epochMs();
  let next = 0;
  // The first VMs are left out of the reconnects, the last of the orders: a stream that is gone has its own delays.
  const commanded = Math.max(1, Math.floor(vms.length * 0.8));
  setInterval(() => {
    for (; dueAt <= epochMs(); dueAt += everyMs) {
      void order(dueAt, vms[next % commanded]?.vmId ?? '');
      next += 1;
    }
  }, 1);
  // Commands that the hostile VM is owed; when it has too many of them they are refused.
  setInterval(() => void submit(settings.hostileVmId).catch(() => undefined), HOSTILE_ORDER_MS);
  let turn = vms.length - 1;
  setInterval(() => {
    const vm = vms[turn];
    turn = turn <= commanded ? vms.length - 1 : turn - 1;
    const at = epochMs();
    void vm?.reconnect().then(() => print({ event: 'reconnected', at, tookMs: epochMs() - at }));
  }, 1_000);
  const lag = monitorEventLoopDelay({ resolution: 1 });
  lag.enable();
  setInterval(() => {
    if (done.length > 0) print({ event: 'done', commands: done });
    done = [];
    const now = epochMs();
    const [oldest] = waiting;
    print({
      event: 'state',
      at: now,
      lagMs: lag.max / 1e6,
      oldestMs: oldest === undefined ? 0 : now - oldest,
    });
    lag.reset();
    for (const [id, { at }] of orders) {
      if (now - at < LOST_MS) break;
      orders.delete(id);
      waiting.delete(at);
      trouble(`command ${id} was not recorded within ${LOST_MS / 1_000} s`);
    }
  }, TELL_MS);
  await new Promise((resolve) => process.once('SIGTERM', resolve));
  for (const vm of vms) vm.close();
}

await main();
process.exit(0);
