/**
 * Brings the queued commands of a VM onto its stream, in their order.
 *
 * One pump per VM at a time. A registration is completed with its configuration or token when it goes out, never before (I8, I9); while
 * GitHub cannot give one, that command waits and says why, and the others go on. What may have reached the VM before, and
 * whose time has passed since, is sent as a question (`startWithinMs` < 0): the VM answers with the result if it has one,
 * and otherwise that it expired, and does nothing (I2, I3).
 */
import { backoffDelayMs } from '@mig/common/backoff';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { Outcome } from '@mig/common/outcome';
import type { CommandRecord, Parameters } from '@mig/common/domain/command';
import { isFinal } from '@mig/common/domain/command-state';
import { testPoint } from '@mig/common/test-points';
import type { Fleet } from '../fleet/fleet.js';
import type { Links, VmLink } from '../fleet/links.js';
import { cordonNote } from './cordon-note.js';
import { endsLife, isForAnotherBoot } from './boot-binding.js';
import type { CommandQueue } from './command-queue.js';
import type { Minting } from './minting.js';

export interface Delivery {
  /** Sends what the VM has not been sent, if it is connected. */
  kick(vmId: string): void;
  /** The VM has connected, and its registration is queued if it needs one: what it may have missed goes out again. */
  attach(vmId: string): void;
  /** The boot to which a command goes at once when it is queued; undefined = it may have to wait, or the peer has no boot. */
  goesTo(vmId: string): string | undefined;
  stop(): void;
}

export interface DeliveryDeps {
  readonly queue: CommandQueue;
  readonly fleet: Fleet;
  readonly links: Links;
  readonly minting: Minting;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

const MINT_BACKOFF = { firstMs: 2_000, maxMs: 60_000 };
/** How long the other commands of a VM wait for its registration, which goes first. */
const MINT_PATIENCE_MS = 3_000;
/** States of a VM that has no registration, and has not begun one. */
const WAITING: readonly string[] = ['booting', 'registering.connecting', 'registering.awaitingCommand'];
/** A question: the VM must not start it. */
const TOO_LATE = -1;

interface Pump {
  running: boolean;
  again: boolean;
  mintFailures: number;
  retryTimer: unknown;
}

export function createDelivery(deps: DeliveryDeps): Delivery {
  const { queue, fleet, links, minting, clock, logger } = deps;
  const pumps = new Map<string, Pump>();
  /** Streams whose VM has been registered, if it had to be: what is queued may follow. */
  const attached = new WeakSet<VmLink>();
  let stopped = false;

  function kick(vmId: string): void {
    const link = links.get(vmId);
    if (stopped || link === undefined || !attached.has(link)) return;
    if (!pumps.has(vmId) && sendForetold(link)) return;
    const pump = pumpOf(vmId);
    if (pump.running) {
      pump.again = true;
      return;
    }
    pump.running = true;
    run(vmId, pump)
      .catch((error: unknown) => logger.error({ vmId, err: error }, 'the delivery of commands failed'))
      .finally(() => {
        pump.running = false;
        if (pump.again) {
          pump.again = false;
          kick(vmId);
        } else if (pump.retryTimer === undefined) {
          pumps.delete(vmId);
        }
      });
  }

  /**
   * What is stored as going to this boot needs nothing more before it goes out.
   * @returns false if something is left that does
   */
  function sendForetold(link: VmLink): boolean {
    for (const command of queue.deliverable(link.vmId)) {
      if (command.state !== 'queued') continue;
      if (!queue.isForetold(command, link.bootId) || isForAnotherBoot(command, link.bootId)) return false;
      const { delivery, execution } = queue.remainingMs(command);
      if (Math.min(delivery, execution) <= 0) return false;
      queue.markForetold(command.id, link.bootId);
      testPoint('commands.sentStored');
      if (!post(link, command, command.parameters, execution)) return true; // the next stream begins anew
    }
    return true;
  }

  function pumpOf(vmId: string): Pump {
    const pump = pumps.get(vmId) ?? { running: false, again: false, mintFailures: 0, retryTimer: undefined };
    pumps.set(vmId, pump);
    return pump;
  }

  async function run(vmId: string, pump: Pump): Promise<void> {
    const link = links.get(vmId);
    for (const { id } of registrationFirst(queue.deliverable(vmId))) {
      // A newer stream begins anew with the first: what follows must not overtake what was being sent.
      if (link === undefined || links.get(vmId) !== link || !attached.has(link)) return;
      const command = queue.deliverable(vmId).find((record) => record.id === id);
      if (command?.state !== 'queued') continue;
      if (!(await sendQueued(link, command, pump))) return;
    }
  }

  /** False if those that follow have to wait too, because they would overtake it. */
  async function sendQueued(link: VmLink, command: CommandRecord, pump: Pump): Promise<boolean> {
    const { delivery, execution } = queue.remainingMs(command);
    if (Math.min(delivery, execution) <= 0) {
      // I3. A legacy MIGlet has no journal to ask, and would run it.
      if (command.attempts === 0 || link.legacy) {
        queue.end(command.id, 'expired', 'the VM was not reached before the delivery deadline');
        return true;
      }
      return send(link, command, command.parameters, TOO_LATE);
    }
    if (isForAnotherBoot(command, link.bootId)) {
      // A legacy MIGlet has no journal to ask, and would carry it out.
      if (command.attempts === 0 || link.legacy) {
        const why = `it was for boot ${command.forBoot ?? ''}, and the VM came back as another`;
        queue.end(command.id, 'expired', why);
        return true;
      }
      return send(link, command, command.parameters, TOO_LATE);
    }
    if (link.legacy && endsLife(command.type) && command.attempts > 0) {
      // It has no boot to tell one life from the next, and no journal to ask: it is not ended twice (I2).
      queue.end(
        command.id,
        'failed',
        'it was sent, and the VM left without an answer: whether it took effect is not known',
      );
      return true;
    }
    if (wasTaken(link, command)) return send(link, command, command.parameters, TOO_LATE);
    const parameters = await complete(link.vmId, command, pump);
    if (parameters === undefined) return true;
    // The world may have changed while a token was minted.
    const current = queue.deliverable(link.vmId).find((record) => record.id === command.id);
    if (current?.state !== 'queued' || links.get(link.vmId) !== link) return true;
    return send(link, current, parameters, queue.remainingMs(current).execution);
  }

  /**
   * A registration that went out to this boot from an earlier controller, and the VM is beyond waiting for one: another would take
   * the runner away that it starts or has. It is asked what became of the first.
   */
  function wasTaken(link: VmLink, command: CommandRecord): boolean {
    if (command.type !== 'register_runner' || command.attempts === 0 || link.legacy) return false;
    if (command.sentToBoot !== link.bootId || minting.has(command.id, link.bootId)) return false;
    const state = fleet.get(link.vmId)?.record.state ?? '';
    return state !== '' && !WAITING.includes(state);
  }

  /**
   * That it goes out, and to which boot, is on disk before it does: after a crash it is asked for, not ordered again (I2).
   * While nothing can be stored, nothing goes out. False if it did not go out.
   */
  async function send(
    link: VmLink,
    command: CommandRecord,
    parameters: Parameters,
    startWithinMs: number,
  ): Promise<boolean> {
    try {
      await queue.markSent(command.id, link.bootId);
      testPoint('commands.sentStored');
    } catch (error) {
      logger.warn(
        { vmId: link.vmId, commandId: command.id, reason: errorMessage(error) },
        'a command has to wait',
      );
      const pump = pumps.get(link.vmId);
      if (pump !== undefined) retryLater(link.vmId, pump, undefined);
      return false;
    }
    if (links.get(link.vmId) !== link) return false;
    return post(link, command, parameters, startWithinMs);
  }

  /** False if it did not go out; then it waits for the next stream. */
  function post(
    link: VmLink,
    command: CommandRecord,
    parameters: Parameters,
    startWithinMs: number,
  ): boolean {
    const sent = link.send({
      kind: 'command',
      command: {
        id: command.id,
        type: command.type,
        parameters,
        createdAt: command.createdAt,
        startWithinMs,
        attempt: command.attempts + 1,
      },
    });
    testPoint('commands.sent');
    if (!sent) queue.requeueSent(link.vmId);
    return sent;
  }

  /** The parameters as they go out: a registration gets its configuration or token. Undefined if it has to wait for one. */
  async function complete(vmId: string, command: CommandRecord, pump: Pump): Promise<Parameters | undefined> {
    if (command.type !== 'register_runner') return command.parameters;
    const vm = fleet.get(vmId)?.record;
    if (vm === undefined || waitsForUncordon(vmId, command)) return undefined;
    const minted = await within(minting.mint(command, vm), MINT_PATIENCE_MS, (late) => {
      if (late.kind === 'retryable') waitForGitHub(command, pumpOf(vmId), late);
      else kick(vmId);
    });
    if (stopped || waitsForUncordon(vmId, command)) return undefined;
    if (minted === 'late') {
      queue.note(command.id, 'waits for GitHub: it has not answered yet');
      return undefined;
    }
    switch (minted.kind) {
      case 'ok':
        pump.mintFailures = 0;
        return minted.value;
      case 'retryable':
        waitForGitHub(command, pump, minted);
        return undefined;
      case 'fatal':
        queue.end(command.id, 'failed', minted.reason);
        return undefined;
    }
  }

  function waitForGitHub(
    { id, vmId }: CommandRecord,
    pump: Pump,
    { reason, afterMs }: Extract<Outcome<Parameters>, { kind: 'retryable' }>,
  ): void {
    if (!isFinal(queue.get(id).state)) queue.note(id, `waits for GitHub: ${reason}`);
    logger.warn({ vmId, commandId: id, reason }, 'no registration yet');
    retryLater(vmId, pump, afterMs);
  }

  /** A VM that takes no new jobs gets no runner; it is looked at again when the cordon is lifted. */
  function waitsForUncordon(vmId: string, command: CommandRecord): boolean {
    const cordon = fleet.get(vmId)?.record.cordon;
    if (cordon !== undefined) queue.note(command.id, cordonNote(cordon));
    return cordon !== undefined;
  }

  /** A GitHub that is slow to answer must not hold up what does not need it; `onLate` is called when it has answered after all. */
  function within(
    minted: Promise<Outcome<Parameters>>,
    patienceMs: number,
    onLate: (outcome: Outcome<Parameters>) => void,
  ): Promise<Outcome<Parameters> | 'late'> {
    return new Promise((resolve) => {
      let isLate = false;
      const timer = clock.setTimer(() => {
        isLate = true;
        resolve('late');
      }, patienceMs);
      void minted.then((outcome) => {
        clock.clearTimer(timer);
        resolve(outcome);
        if (isLate && !stopped) onLate(outcome);
      });
    });
  }

  function retryLater(vmId: string, pump: Pump, afterMs: number | undefined): void {
    if (pump.retryTimer !== undefined) return;
    const delayMs = Math.max(afterMs ?? 0, 500, backoffDelayMs(MINT_BACKOFF, pump.mintFailures, deps.random));
    pump.mintFailures += 1;
    pump.retryTimer = clock.setTimer(() => {
      pump.retryTimer = undefined;
      kick(vmId);
    }, delayMs);
  }

  return {
    kick,
    attach(vmId) {
      const link = links.get(vmId);
      if (link === undefined) return;
      queue.requeueSent(vmId);
      attached.add(link);
      // What the VM took before: it says the result again, or that it does not know it any more.
      for (const command of queue.open(vmId)) {
        if (command.state === 'received') void send(link, command, command.parameters, TOO_LATE);
      }
      kick(vmId);
    },
    goesTo(vmId) {
      const link = links.get(vmId);
      return stopped || link === undefined || link.legacy || !attached.has(link) ? undefined : link.bootId;
    },
    stop() {
      stopped = true;
      for (const pump of pumps.values()) if (pump.retryTimer !== undefined) clock.clearTimer(pump.retryTimer);
    },
  };
}

/** The controller's own register_runner, then what was submitted, in its order. */
function registrationFirst(commands: readonly CommandRecord[]): CommandRecord[] {
  const isOwn = ({ type, createdBy }: CommandRecord): boolean =>
    type === 'register_runner' && createdBy === 'controller';
  return [...commands.filter(isOwn), ...commands.filter((command) => !isOwn(command))];
}
