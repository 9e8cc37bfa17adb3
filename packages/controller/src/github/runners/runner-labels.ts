/** A runner's labels at GitHub: taken from it, so that no job asks for it, and given back. */
import type { Logger } from '@mig/common/logger';
import { fatal, ok, type Outcome } from '@mig/common/outcome';
import type { VmRecord } from '@mig/common/domain/vm';
import type { Scope } from '../client/github-client.js';
import { toOutcome } from './call-outcome.js';
import type { Places } from './places.js';
import { noPlace } from './registration-wish.js';
import type { RunnersApi } from './runners-api.js';

/** What a runner is labelled with in place of its own labels: no job asks for it. */
const DRAINING_LABEL = 'mig-draining';
const CORDONED_LABEL = 'mig-cordoned';

export interface RunnerLabelling {
  /** As RunnerLabels of the fence promises. */
  setEligible(vm: VmRecord, runnerName: string, eligible: boolean): Promise<Outcome<'set' | 'noRunner'>>;
  /** Takes the labels of a runner whose job ends it. @throws GitHubCallError */
  fence(scope: Scope, runnerId: number): Promise<'gone' | 'set'>;
}

export function createRunnerLabels({
  runners,
  places,
  logger,
}: {
  readonly runners: RunnersApi;
  readonly places: Places;
  readonly logger: Logger;
}): RunnerLabelling {
  /** Those that the runner was registered with: by its own word, or else by the configuration. */
  function labelsOf(vm: VmRecord, name: string): readonly string[] {
    const reported = vm.runner?.name === name ? vm.runner.labels : [];
    return reported.length > 0 ? reported : [...places.pool(vm.poolId).labels, ...vm.labels];
  }

  async function set(
    vm: VmRecord,
    scope: Scope,
    name: string,
    eligible: boolean,
  ): Promise<Outcome<'set' | 'noRunner'>> {
    const runner = await runners.findByName(scope, name, 'deletion');
    if (runner === undefined) return ok('noRunner');
    const fixed = runner.labels.filter((label) => label.fixed).map((label) => label.name);
    const now = without(
      runner.labels.map((label) => label.name),
      fixed,
    );
    if (!eligible && fixed.length > 0) {
      logger.warn(
        { vmId: vm.vmId, runner: name, labels: fixed },
        'a runner has labels that cannot be taken from it: jobs that ask for no others may still come to it',
      );
    }
    const wanted = eligible ? without(labelsOf(vm, name), fixed) : [CORDONED_LABEL];
    if (wanted.length + fixed.length === 0)
      return fatal(`the labels of runner ${name} are not known: it has to be registered again`);
    const isSo = isSame(now, wanted) || (!eligible && isSame(now, [DRAINING_LABEL]));
    return ok(isSo || (await runners.setLabels(scope, runner.id, wanted)) === 'set' ? 'set' : 'noRunner');
  }

  return {
    async setEligible(vm, name, eligible) {
      const scope = places.scopeOf(vm);
      if (scope === undefined) return fatal(noPlace(vm));
      try {
        return await set(vm, scope, name, eligible);
      } catch (error) {
        return toOutcome(error);
      }
    },
    fence: (scope, runnerId) => runners.setLabels(scope, runnerId, [DRAINING_LABEL]),
  };
}

/** Labels are the same in any case, and in any order. */
const isSame = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length && without(some, others).length === 0;

function without(labels: readonly string[], others: readonly string[]): string[] {
  const names = others.map((label) => label.toLowerCase());
  return labels.filter((label) => !names.includes(label.toLowerCase()));
}
