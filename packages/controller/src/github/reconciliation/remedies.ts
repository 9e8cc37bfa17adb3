/**
 * What is done about a finding, once: delete the runner, have the VM replace it, or tell that the views disagree.
 *
 * Each first looks again whether the finding still stands, at the VM's record as it is now and, before a replacement, at GitHub. DELETE
 * is the arbiter (I5): a runner that GitHub refuses to delete has a job, and is left alone.
 */
import { toRfc3339, type Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { ControllerEventType } from '@mig/common/domain/event';
import type { CommandRecord } from '@mig/common/domain/command';
import type { Submission } from '../../commands/command-queue.js';
import type { ControllerEvents } from '../../fleet/controller-events.js';
import { GitHubCallError, scopePath } from '../client/github-client.js';
import type { RunnersApi } from '../runners/runners-api.js';
import type { Finding } from './findings.js';
import type { Sighting } from './sightings.js';

/** - `done`: with what is to be kept of it. */
export type Remedied =
  | { readonly kind: 'done'; readonly commandId?: string }
  /** It does not stand any more. */
  | { readonly kind: 'well' }
  /** GitHub refuses to delete the runner: a job runs on it (I5). */
  | { readonly kind: 'refused'; readonly note: string }
  /** `asked`: it may have been done all the same. `stop`: nothing more can be asked of this scope now. */
  | { readonly kind: 'failed'; readonly note: string; readonly asked: boolean; readonly stop: boolean };

export interface Remedies {
  /** Never rejects. */
  remedy(sighting: Sighting): Promise<Remedied>;
  /** A deletion whose answer was lost has taken effect. */
  tellDeleted(sighting: Sighting): void;
}

export interface RemediesDeps {
  readonly runners: Pick<RunnersApi, 'findByName' | 'remove'>;
  /** The finding of this row as of now, from the list that is known and what the VM says now. */
  readonly lookAgain: (finding: Finding) => Finding | undefined;
  readonly submit: (submission: Submission) => Promise<CommandRecord>;
  readonly events: Pick<ControllerEvents, 'enter'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The VM is connected: a replacement that does not reach it by then is thought over anew. */
const DELIVERY_DEADLINE_MS = 2 * 60_000;

export function createRemedies(deps: RemediesDeps): Remedies {
  const { runners, logger } = deps;

  const stands = (finding: Finding): boolean => {
    const now = deps.lookAgain(finding);
    return now?.facts === finding.facts;
  };

  async function remove(sighting: Sighting): Promise<Remedied> {
    const { finding } = sighting;
    const { scope, github, name } = finding.row;
    if (github === undefined || !stands(finding)) return { kind: 'well' };
    try {
      if ((await runners.remove(scope, github.id, 'reconciliation')) === 'refused') {
        const note = 'GitHub refused to delete it: a job runs on it';
        logger.warn({ runner: name, scope: scopePath(scope), reason: finding.reason }, note);
        return { kind: 'refused', note };
      }
    } catch (error) {
      return failed(error);
    }
    tell(sighting, 'runner_deleted', 'a runner at GitHub that no VM has any more was deleted');
    return { kind: 'done' };
  }

  async function replace(sighting: Sighting): Promise<Remedied> {
    const { finding } = sighting;
    const { scope, name, vm } = finding.row;
    if (vm === undefined || !stands(finding)) return { kind: 'well' };
    let commandId: string;
    try {
      const now = await runners.findByName(scope, name, 'reconciliation');
      if (now?.online === true || now?.busy === true || (now !== undefined) !== (finding.kind === 'offline'))
        return { kind: 'well' };
      // It may have said something else while GitHub was asked.
      if (!stands(finding)) return { kind: 'well' };
      const command = await deps.submit({
        vmId: vm.vmId,
        type: 'register_runner',
        parameters: { replace: true },
        createdBy: 'controller',
        forBoot: vm.bootId,
        deliveryDeadlineMs: DELIVERY_DEADLINE_MS,
      });
      commandId = command.id;
    } catch (error) {
      return failed(error);
    }
    tell(sighting, 'runner_replaced', 'a VM is to replace its runner, which GitHub does not know', {
      command_id: commandId,
    });
    return { kind: 'done', commandId };
  }

  /** Never waits: what it tells has happened. */
  function tell(
    { finding, since }: Sighting,
    type: ControllerEventType,
    message: string,
    more: Readonly<Record<string, string>> = {},
  ): void {
    const { row, reason } = finding;
    const data = { runner: row.name, reason, since: toRfc3339(since), ...more };
    logger.warn({ event: type, vmId: row.vm?.vmId, scope: scopePath(row.scope), ...data }, message);
    // A runner of a VM that nobody knows has no history to be entered in: the log line is all there is.
    if (row.vm !== undefined) void deps.events.enter(row.vm, type, data);
  }

  return {
    async remedy(sighting) {
      const { finding } = sighting;
      switch (finding.action) {
        case 'delete':
          return remove(sighting);
        case 'replace':
          return replace(sighting);
        case 'tell':
          if (!stands(finding)) return { kind: 'well' };
          tell(sighting, 'job_disagreement', 'GitHub and a VM disagree whether a job runs; nothing is done');
          return { kind: 'done' };
        case 'none':
          return { kind: 'well' };
      }
    },
    tellDeleted: (sighting) =>
      tell(sighting, 'runner_deleted', 'a runner whose deletion GitHub did not confirm is gone'),
  };
}

function failed(error: unknown): Remedied {
  const note = errorMessage(error);
  if (!(error instanceof GitHubCallError)) return { kind: 'failed', note, asked: false, stop: false };
  switch (error.failure) {
    case 'budget':
    case 'limited':
    case 'credentials':
      return { kind: 'failed', note, asked: false, stop: true };
    case 'unreachable':
      return { kind: 'failed', note, asked: true, stop: true };
    case 'refused':
      return { kind: 'failed', note, asked: false, stop: false };
  }
}
