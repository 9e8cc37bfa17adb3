/**
 * A runner for one job: GitHub is asked for its configuration at the last moment, and the VM gets nothing else of GitHub's (I9).
 *
 * The name says whose the runner is (ownership.ts). GitHub has one of this name already (409) when an earlier configuration of this
 * boot was never used, or its answer was lost: that one is looked up and deleted, unless a job runs on it, and the next name is
 * taken. A runner that is not of this VM by its name is never touched.
 */
import type { Parameters } from '@mig/common/domain/command';
import type { Logger } from '@mig/common/logger';
import { fatal, ok, retryable, type Outcome } from '@mig/common/outcome';
import type { VmRecord } from '@mig/common/domain/vm';
import { scopePath, type Scope } from '../client/github-client.js';
import { takenName, type GivenNames } from './given-names.js';
import type { Ownership } from './ownership.js';
import { systemLabels, type RegistrationWish } from './registration-wish.js';
import type { RunnersApi } from './runners-api.js';

/** Names that are tried for one registration. */
const MAX_NAMES = 9;
/** When all of them are taken: jobs run under some, and end. */
const ALL_TAKEN_MS = 60_000;
/** A runner group that is not there is looked for again after this. */
const NO_GROUP_MS = 60_000;
const WORK_FOLDER = '_work';
/** Runners whose id is remembered; the oldest are looked up by name again (I12). */
const MAX_REMEMBERED = 20_000;

export interface JitRegistration {
  /** @throws GitHubCallError */
  mint(vm: VmRecord, wish: RegistrationWish): Promise<Outcome<Parameters>>;
  /** The runner of the name that was registered last here, if it was by this controller since its start. */
  idOf(scope: Scope, runnerName: string): number | undefined;
  forget(scope: Scope, runnerName: string): void;
}

export function createJitRegistration({
  runners,
  ownership,
  given,
  logger,
}: {
  readonly runners: RunnersApi;
  readonly ownership: Ownership;
  readonly given: GivenNames;
  readonly logger: Logger;
}): JitRegistration {
  const ids = new Map<string, number>();
  const keyOf = (scope: Scope, name: string): string => `${scopePath(scope)} ${name}`.toLowerCase();

  function remember(scope: Scope, name: string, id: number): void {
    ids.delete(keyOf(scope, name));
    ids.set(keyOf(scope, name), id);
    for (const oldest of ids.keys()) {
      if (ids.size <= MAX_REMEMBERED) break;
      ids.delete(oldest);
    }
  }

  /** GitHub has a runner of this name: it goes, if it may. */
  async function makeRoom(vm: VmRecord, scope: Scope, name: string): Promise<void> {
    const found = await runners.findByName(scope, name, 'registration');
    if (found === undefined || !given.isOf(vm, found.name)) return;
    const outcome = await runners.remove(scope, found.id, 'registration'); // I5: refused while a job runs
    logger.info(
      { vmId: vm.vmId, runner: name, runnerId: found.id, outcome },
      'GitHub has a runner of this name already: it is deleted unless a job runs on it, and the next name is taken',
    );
  }

  return {
    async mint(vm, wish) {
      const { scope, runnerGroup } = wish;
      const runnerGroupId = await runners.runnerGroupId(scope, runnerGroup);
      if (runnerGroupId === undefined) {
        // One can be made at any time, and is found then.
        return retryable(
          `there is no runner group ${JSON.stringify(runnerGroup)} in ${scopePath(scope).slice(1)}: create it at GitHub, or correct pools.${vm.poolId}.runner_group`,
          NO_GROUP_MS,
        );
      }
      const labels = wish.labels.length > 0 ? wish.labels : systemLabels(vm.platform);
      // The VM has the one that it names deleted, by its name, before it starts the one that replaces it.
      const isFree = (name: string): boolean => vm.runner?.configured !== true || vm.runner.name !== name;
      const names =
        wish.runnerName === ''
          ? Array.from({ length: MAX_NAMES }, (_, n) => ownership.runnerName(vm, n + 1)).filter(isFree)
          : [wish.runnerName];
      for (const name of names) {
        const request = { name, runnerGroupId, labels, workFolder: WORK_FOLDER };
        const minted = await runners.jitConfig(scope, request);
        if (minted !== 'nameTaken') {
          await given.give(vm, name).catch(async (error: unknown) => {
            // Nobody would know whose it is.
            await runners.remove(scope, minted.runner.id, 'registration').catch(() => undefined);
            throw error;
          });
          remember(scope, name, minted.runner.id);
          return ok({
            jit_config: minted.encodedJitConfig,
            runner_name: name,
            runner_url: wish.runnerUrl,
            labels: [...labels],
            ...(runnerGroup === '' ? {} : { runner_group: runnerGroup }),
          });
        }
        await makeRoom(vm, scope, name);
      }
      if (wish.runnerName !== '' && !given.isOf(vm, wish.runnerName)) {
        return fatal(takenName(vm, wish.runnerName));
      }
      return retryable(
        `GitHub has runners of all names that VM ${vm.vmId} may have: ${names.join(', ')}`,
        ALL_TAKEN_MS,
      );
    },

    idOf: (scope, name) => ids.get(keyOf(scope, name)),
    forget: (scope, name) => void ids.delete(keyOf(scope, name)),
  };
}
