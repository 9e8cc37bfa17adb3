/** Registration, fencing and deletion of the runners of VMs at GitHub: the port of the domain, over the REST API. */
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { fatal, ok, type Outcome } from '@mig/common/outcome';
import type { Parameters } from '@mig/common/domain/command';
import { phaseOf } from '@mig/common/domain/vm-state';
import type { VmRecord } from '@mig/common/domain/vm';
import type { RunnerRegistrar } from '../../commands/registrar.js';
import { toOutcome } from './call-outcome.js';
import { takenName, type GivenNames } from './given-names.js';
import type { JitRegistration } from './jit-registration.js';
import type { Ownership } from './ownership.js';
import type { Places } from './places.js';
import { toRegistrationWish, type RegistrationWish } from './registration-wish.js';
import { createRunnerLabels } from './runner-labels.js';
import type { RunnersApi } from './runners-api.js';
import type { TokenRegistration } from './token-registration.js';

export interface RegistrarDeps {
  readonly runners: RunnersApi;
  readonly ownership: Ownership;
  readonly given: GivenNames;
  readonly places: Places;
  readonly jit: JitRegistration;
  readonly token: TokenRegistration;
  readonly logger: Logger;
}

/** @param registration what `register_runner` carries: `github.registration` */
export function createRegistrar(deps: RegistrarDeps, registration: 'jit' | 'token'): RunnerRegistrar {
  const { runners, ownership, given, places, jit, token, logger } = deps;
  const labels = createRunnerLabels({ runners, places, logger });

  async function asked(
    vm: VmRecord,
    wanted: Parameters,
    task: (wish: RegistrationWish) => Promise<Outcome<Parameters>>,
  ): Promise<Outcome<Parameters>> {
    const wish = toRegistrationWish(vm, wanted, places);
    if (wish.kind !== 'ok') return wish;
    try {
      const minted = await task(wish.value);
      // What the command names besides (`replace`) goes along.
      return minted.kind === 'ok' ? ok({ ...wanted, ...minted.value }) : minted;
    } catch (error) {
      return toOutcome(error);
    }
  }

  const mintToken = (vm: VmRecord, wanted: Parameters): Promise<Outcome<Parameters>> =>
    asked(vm, wanted, async (wish) => {
      const { scope, runnerName } = wish;
      // config.sh replaces whatever has the name.
      if (runnerName !== '' && !given.isOf(vm, runnerName)) {
        const found = await runners.findByName(scope, runnerName, 'registration');
        if (found !== undefined) return fatal(takenName(vm, runnerName));
        await given.give(vm, runnerName);
      }
      return ok(await token.mint(wish, runnerName || ownership.runnerName(vm)));
    });

  const mintJit = (vm: VmRecord, wanted: Parameters): Promise<Outcome<Parameters>> =>
    asked(vm, wanted, async (wish) => {
      const url = places.urlOf(wish.scope);
      if (wish.runnerUrl !== url) {
        return fatal(
          `the runner of VM ${vm.vmId} is registered at ${url}, and not at ${wish.runnerUrl}: leave runner_url out, or set the place in pools.${vm.poolId}`,
        );
      }
      return keepsRunner(vm, wanted) ? fatal(hasRunner(vm)) : jit.mint(vm, wish);
    });

  return {
    mint: registration === 'jit' ? mintJit : mintToken,
    mintToken,
    setEligible: labels.setEligible,

    async remove(vm, name, beforeFence) {
      const scope = places.scopeOf(vm);
      if (name === '' || scope === undefined)
        return { outcome: 'deleted', message: 'there is no runner to delete' };
      try {
        const callClass = isUrgent(vm) ? 'registration' : 'deletion';
        const jitId = jit.idOf(scope, name);
        const id = jitId ?? (await runners.findByName(scope, name, callClass))?.id;
        if (id === undefined) return { outcome: 'deleted', message: `GitHub has no runner ${name}` };
        const deleted = { outcome: 'deleted', message: `runner ${name} is deleted` } as const;
        if ((await runners.remove(scope, id, callClass)) === 'gone') {
          jit.forget(scope, name);
          logger.info(
            { vmId: vm.vmId, runner: name, runnerId: id },
            'a runner is deleted at GitHub: its VM asked for it',
          );
          return deleted;
        }
        // One that is not ephemeral would be given the next matching job when this one ends, and the next, and never be free
        // to be deleted. GitHub removes one with a JIT configuration itself when its job ends.
        if (jitId === undefined) {
          await beforeFence();
          if ((await labels.fence(scope, id)) === 'gone') return deleted;
        }
        return { outcome: 'busy', message: `GitHub refused to delete runner ${name}: a job runs on it` };
      } catch (error) {
        // Also a 404 of the list: GitHub answers so when the token lacks the right, and the runner is still there (I5).
        const reason = errorMessage(error);
        logger.warn({ vmId: vm.vmId, runner: name, reason }, 'a runner could not be deleted');
        return { outcome: 'unavailable', message: reason };
      }
    },
  };
}

/**
 * The VM says that it has a runner, and nobody asked to have it replaced: it would keep it, and a registration for it would take
 * that runner's name away from it. A legacy MIGlet, which has no boot, takes a new one whenever it connects.
 */
const keepsRunner = ({ bootId, state, runner }: VmRecord, wanted: Parameters): boolean =>
  bootId !== '' && phaseOf(state) === 'ready' && runner?.configured === true && wanted['replace'] !== true;

const hasRunner = ({ vmId, runner }: VmRecord): string =>
  `VM ${vmId} has its runner ${runner?.name ?? ''}, and keeps it: ask with replace to have it registered anew`;

/**
 * A deletion that cannot wait for the hour's end: the VM registers anew when it is done, or has no runner process any more and is
 * about to stop, which it must not with a live registration (I5).
 */
const isUrgent = ({ state, runner }: VmRecord): boolean =>
  phaseOf(state) === 'registering' || runner?.state === 'offline';
