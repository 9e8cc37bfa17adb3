/** The process of the load: does what the harness asks, one thing at a time, and ends with the harness. */
import { errorMessage } from '@mig/common/errors';
import { startBeating, type Beating } from './beating.js';
import { drainAll, roundTrips } from './commands.js';
import { createFleet, type Fleet } from './fleet.js';
import { createOperator, type Operator } from './operator.js';
import type { LoadAnswers, LoadReply, LoadRequest, Target } from './protocol.js';
import { saturate } from './saturation.js';
import { createUseMeter, type UseMeter } from './use-meter.js';

interface Load {
  readonly fleet: Fleet;
  readonly operator: Operator;
  readonly useMeter: UseMeter;
  beating: Beating | undefined;
}

let load: Load | undefined;
/** A stream ended that was not expected to: nothing that is measured after that would be true. */
let broken: Error | undefined;
/** Rejects what is being done. */
let fail: (error: Error) => void = () => undefined;

function onBroken(error: Error): void {
  broken ??= error;
  fail(error);
}

function connected(): Load {
  if (load === undefined) throw new Error('there is no fleet: "connect" comes first');
  if (broken !== undefined) throw broken;
  return load;
}

async function connect(target: Target, vms: number): Promise<LoadAnswers['connect']> {
  broken = undefined;
  const boot = `b${Date.now().toString(36)}`;
  const fleet = createFleet({ target, vms, boot, onBroken });
  load = { fleet, ...serverOf(target), beating: undefined };
  const meter = load.useMeter();
  const startedMs = performance.now();
  await fleet.announce();
  const announcedMs = performance.now();
  await fleet.connect();
  const streamsMs = performance.now() - announcedMs;
  return { announceMs: announcedMs - startedMs, streamsMs, use: meter() };
}

async function reconnect(target: Target): Promise<LoadAnswers['reconnect']> {
  const { fleet } = connected();
  fleet.moveTo(target);
  load = { fleet, ...serverOf(target), beating: undefined };
  const startedMs = performance.now();
  const announcedAgain = await fleet.connect();
  return { streamsMs: performance.now() - startedMs, announcedAgain };
}

const serverOf = ({ http: endpoint, ca, operatorToken: token, pid }: Target) => ({
  operator: createOperator({ endpoint, ca, token }),
  useMeter: createUseMeter(pid),
});

async function answer(request: LoadRequest): Promise<unknown> {
  switch (request.kind) {
    case 'connect':
      return connect(request.target, request.vms);
    case 'beat':
      connected().beating = startBeating(connected().fleet.vms, request.intervalMs);
      return {};
    case 'stopBeating':
      return { heartbeats: connected().beating?.stop() ?? 0 } satisfies LoadAnswers['stopBeating'];
    case 'saturate':
      return saturate(connected().fleet, request, connected().useMeter);
    case 'roundTrips':
      return roundTrips(connected().fleet, connected().operator, request.count);
    case 'drain':
      return drainAll(connected().fleet, connected().operator, connected().useMeter);
    case 'awaitEnds':
      await load?.fleet.ends();
      broken = undefined;
      return {};
    case 'reconnect':
      return reconnect(request.target);
    case 'close':
      load?.beating?.stop();
      load?.operator.close();
      load?.fleet.close();
      load = undefined;
      return {};
  }
}

process.on('message', (request: LoadRequest) => {
  const failed = new Promise<never>((_, reject) => (fail = reject));
  Promise.race([answer(request), failed]).then(
    (given) => reply({ answer: given }),
    (error: unknown) => reply({ failure: errorMessage(error) }),
  );
});
const reply = (message: LoadReply): void => void process.send?.(message);
// The harness is gone.
process.on('disconnect', () => process.exit(0));
