/**
 * What a registration goes out with, minted once for a command however often it is delivered.
 *
 * A command that is delivered again (its stream broke, a poller asks twice) goes out with the same configuration: another one would
 * take the first away from a VM that may have it already. It is in memory only (I8), for the boot that it was minted for, until the
 * VM has taken the command, and for `REUSE_MS` at most: a JIT configuration ages.
 */
import type { Clock } from '@mig/common/clock';
import { retryable, type Outcome } from '@mig/common/outcome';
import type { CommandRecord, Parameters } from '@mig/common/domain/command';
import { errorMessage } from '@mig/common/errors';
import type { VmRecord } from '@mig/common/domain/vm';
import type { RunnerRegistrar } from './registrar.js';

export interface Minting {
  /** Joins the minting that is under way for the command, or takes what it brought. Never rejects. */
  mint(command: CommandRecord, vm: VmRecord): Promise<Outcome<Parameters>>;
  /** Is there something minted, or under way, for this boot? */
  has(commandId: string, bootId: string): boolean;
  /** The VM has the command, or it will never get it. */
  forget(commandId: string): void;
}

const REUSE_MS = 5 * 60_000;
/** Commands of which something is kept; the oldest are minted anew (I12). */
const MAX_KEPT = 20_000;

interface Kept {
  readonly bootId: string;
  readonly minted: Promise<Outcome<Parameters>>;
  readonly startedAtMs: number;
}

export function createMinting({
  registrar,
  clock,
  onMinted,
}: {
  readonly registrar: Pick<RunnerRegistrar, 'mint'>;
  readonly clock: Clock;
  /** Told of what was minted, whether or not it can still be used. */
  readonly onMinted?: (command: CommandRecord, vm: VmRecord, minted: Parameters) => void;
}): Minting {
  /** In the order of their making. */
  const kept = new Map<string, Kept>();
  const underWay = new Set<Kept>();

  const isOld = (entry: Kept): boolean =>
    !underWay.has(entry) && clock.monotonicMs() - entry.startedAtMs >= REUSE_MS;

  function start(command: CommandRecord, vm: VmRecord): Kept {
    const minted = registrar
      .mint(vm, command.parameters)
      .catch((error: unknown) => retryable(errorMessage(error)));
    const entry = { bootId: vm.bootId, minted, startedAtMs: clock.monotonicMs() };
    kept.delete(command.id);
    kept.set(command.id, entry);
    underWay.add(entry);
    void minted.then((outcome) => {
      underWay.delete(entry);
      if (outcome.kind === 'ok') onMinted?.(command, vm, outcome.value);
      else if (kept.get(command.id) === entry) kept.delete(command.id);
    });
    for (const [oldest, old] of kept) {
      if (kept.size <= MAX_KEPT && !isOld(old)) break;
      kept.delete(oldest);
    }
    return entry;
  }

  function of(commandId: string, bootId: string): Kept | undefined {
    const entry = kept.get(commandId);
    return entry === undefined || entry.bootId !== bootId || isOld(entry) ? undefined : entry;
  }

  return {
    mint: (command, vm) => (of(command.id, vm.bootId) ?? start(command, vm)).minted,
    has: (commandId, bootId) => of(commandId, bootId) !== undefined,
    forget: (commandId) => void kept.delete(commandId),
  };
}
