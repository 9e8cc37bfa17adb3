/**
 * One round: ask GitHub for its runners, compare the three views, act upon what has been wrong for long enough.
 *
 * Limits (I12), of one round: `MAX_DELETIONS` and `MAX_REPLACEMENTS`; the rest waits for the next one, and that is logged.
 *
 * An empty list is not believed at once: a token that lost a right may see nothing, and a fleet would be taken down for it. While
 * a scope's list has nothing and more than `MAX_CLAIMS` VMs say that they have a runner there, one VM in a grace is replaced and
 * no more; when its new runner is on the list, the others follow.
 */
import { errorMessage } from '@mig/common/errors';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import { GitHubCallError, scopePath, type Scope } from '../client/github-client.js';
import type { GitHubRunner, RunnersApi } from '../runners/runners-api.js';
import { findings, type Finding, type JobEnd } from './findings.js';
import type { Ownership } from '../runners/ownership.js';
import type { Remedied, Remedies } from './remedies.js';
import type { Sighting, Sightings } from './sightings.js';
import { joinViews, placeKey, type RunnerRow, type VmWord } from './views.js';

/** What was seen of a scope. */
export interface ScopeSeen {
  readonly scope: Scope;
  /** Of the last list that came whole. */
  readonly runners: readonly GitHubRunner[];
  /** Milliseconds since 1970; undefined = none has come yet. */
  readonly listedAt: number | undefined;
  readonly ours: number;
  /** Why there was no list in the last round, or why it is not believed. */
  readonly problem: string | undefined;
}

export interface RoundReport {
  readonly scopes: readonly ScopeSeen[];
  readonly deleted: number;
  readonly replaced: number;
  /** What was due, and is left to the next round. */
  readonly left: number;
}

/** Something that was done, for whoever asks. */
export interface Deed {
  readonly at: number;
  readonly finding: Finding;
  readonly since: number;
  readonly commandId: string | undefined;
}

export interface RoundDeps {
  readonly runners: RunnersApi;
  readonly scopes: () => readonly Scope[];
  /** Every VM, as of now. */
  readonly words: () => Iterable<VmWord>;
  readonly sightings: Sightings;
  readonly remedies: Remedies;
  readonly ownership: Ownership;
  readonly jobEnd: JobEnd;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly graceMs: number;
  readonly onDeed: (deed: Deed) => void;
  /** True from the moment in which nothing more is to begin. */
  readonly stopped: () => boolean;
}

const MAX_DELETIONS = 50;
const MAX_REPLACEMENTS = 20;
/** An empty list is believed if no more VMs than this say that they have a runner in its scope. */
const MAX_CLAIMS = 3;

/** @returns one round after the other; they share what was seen before */
export function createRound(deps: RoundDeps): () => Promise<RoundReport> {
  const { sightings, clock, logger, ownership } = deps;
  const seen = new Map<string, ScopeSeen>();
  /** When something was last replaced in a scope whose list is not believed; by the monotonic clock. */
  const triedAtMs = new Map<string, number>();

  async function list(scope: Scope): Promise<boolean> {
    const key = placeKey(scope);
    try {
      const runners = await deps.runners.list(scope, 'reconciliation');
      const ours = runners.filter(({ name }) => ownership.isOurs(name)).length;
      seen.set(key, { scope, runners, listedAt: clock.now(), ours, problem: undefined });
      return true;
    } catch (error) {
      const before = seen.get(key);
      const problem = describe(error);
      seen.set(key, { scope, runners: [], listedAt: undefined, ours: 0, ...before, problem });
      // An outage is told once, not every minute.
      const level = before?.problem === problem ? 'debug' : 'warn';
      logger[level](
        { scope: scopePath(scope), reason: problem },
        'the runners of a scope could not be listed',
      );
      return false;
    }
  }

  /** Scopes whose list is empty although VMs say that they have runners there. */
  function findUnbelievable(rows: readonly RunnerRow[]): Set<string> {
    const claims = new Map<string, number>();
    for (const { scope, github, vm, listed } of rows) {
      const path = placeKey(scope);
      const isClaim = vm?.state === 'ready.idle' && vm.liveness === 'alive' && vm.link === 'connected';
      if (github === undefined && listed && isClaim) claims.set(path, (claims.get(path) ?? 0) + 1);
    }
    const doubted = [...claims].filter(
      ([path, count]) => count > MAX_CLAIMS && seen.get(path)?.runners.length === 0,
    );
    for (const [path, count] of doubted) {
      const before = seen.get(path);
      if (before === undefined) continue;
      const problem = `GitHub lists no runner at all, and ${count} VMs say that theirs waits for jobs: one of them is replaced first; if its new runner is not listed either, see whether the credentials may still manage runners`;
      seen.set(path, { ...before, problem });
      logger.warn({ scope: path, vms: count }, 'an empty list of runners is not believed yet');
    }
    return new Set(doubted.map(([path]) => path));
  }

  function mayReplace(path: string, unbelievable: ReadonlySet<string>): boolean {
    const lastMs = triedAtMs.get(path);
    return !unbelievable.has(path) || lastMs === undefined || clock.monotonicMs() - lastMs >= deps.graceMs;
  }

  function settle(sighting: Sighting, remedied: Remedied): void {
    const { finding, since } = sighting;
    switch (remedied.kind) {
      case 'done':
        if (finding.action === 'tell') sightings.told(finding);
        else sightings.forget(finding);
        deps.onDeed({ at: clock.now(), finding, since, commandId: remedied.commandId });
        return;
      case 'well':
        sightings.forget(finding);
        return;
      case 'refused':
        sightings.again(finding, remedied.note);
        return;
      case 'failed':
        sightings.failed(finding, remedied.note, remedied.asked && finding.action === 'delete');
        logger.warn(
          { runner: finding.row.name, scope: scopePath(finding.row.scope), reason: remedied.note },
          'a finding could not be acted upon yet',
        );
    }
  }

  async function act(unbelievable: ReadonlySet<string>): Promise<Omit<RoundReport, 'scopes'>> {
    const stoppedScopes = new Set<string>();
    let deletions = 0;
    let replacements = 0;
    const report = { deleted: 0, replaced: 0, left: 0 };
    for (const sighting of sightings.due()) {
      const { action, row } = sighting.finding;
      const path = placeKey(row.scope);
      const waits =
        deps.stopped() ||
        (action !== 'tell' && stoppedScopes.has(path)) ||
        (action === 'delete' && deletions >= MAX_DELETIONS) ||
        (action === 'replace' && (replacements >= MAX_REPLACEMENTS || !mayReplace(path, unbelievable)));
      if (waits) {
        report.left += 1;
        continue;
      }
      if (action === 'delete') deletions += 1;
      if (action === 'replace') replacements += 1;
      const remedied = await deps.remedies.remedy(sighting);
      settle(sighting, remedied);
      if (remedied.kind === 'failed' && remedied.stop) stoppedScopes.add(path);
      if (remedied.kind !== 'done') continue;
      if (action === 'delete') report.deleted += 1;
      if (action === 'replace') {
        report.replaced += 1;
        if (unbelievable.has(path)) triedAtMs.set(path, clock.monotonicMs());
      }
    }
    if (report.left > 0 && !deps.stopped()) {
      logger.warn(
        { left: report.left, maxDeletions: MAX_DELETIONS, maxReplacements: MAX_REPLACEMENTS },
        'not everything that is due was done in this round: it waits for the next',
      );
    }
    if (sightings.left > 0)
      logger.warn({ left: sightings.left }, 'too much is wrong at once: the rest is looked at later');
    return report;
  }

  /** Of what is well again, that whose deletion was asked for and not confirmed was deleted by it. */
  function tellUnconfirmed(gone: readonly Sighting[], rows: readonly RunnerRow[]): void {
    const there = new Set(rows.filter(({ github }) => github !== undefined).map(({ key }) => key));
    for (const sighting of gone) {
      const { finding, since } = sighting;
      if (!sighting.asked || there.has(finding.row.key)) continue;
      deps.remedies.tellDeleted(sighting);
      deps.onDeed({ at: clock.now(), finding, since, commandId: undefined });
    }
  }

  return async () => {
    const scopes = deps.scopes();
    const paths = new Set(scopes.map(placeKey));
    for (const path of seen.keys()) if (!paths.has(path)) seen.delete(path);
    const lists = [];
    for (const scope of scopes) {
      if (deps.stopped()) break;
      if (await list(scope)) lists.push({ scope, runners: seen.get(placeKey(scope))?.runners ?? [] });
    }
    const looked = new Set(lists.map(({ scope }) => placeKey(scope)));
    // After the lists: a VM that spoke meanwhile is not held to what it said before.
    const rows = joinViews(lists, deps.words(), ownership);
    const gone = sightings.look(findings(rows, deps), ({ row }) => {
      const path = placeKey(row.scope);
      return looked.has(path) || !paths.has(path);
    });
    tellUnconfirmed(gone, rows);
    const report = await act(findUnbelievable(rows));
    return { scopes: [...seen.values()], ...report };
  };
}

function describe(error: unknown): string {
  const message = errorMessage(error);
  return error instanceof GitHubCallError && error.failure === 'budget' ? `skipped: ${message}` : message;
}
