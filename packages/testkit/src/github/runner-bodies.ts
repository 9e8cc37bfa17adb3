/** Whether what a runner sent is what `runner-protocol.ts` says. */
import type {
  JobCompletion,
  RegistrationRequest,
  RunnerEndedBy,
  RunnerResult,
  SessionRequest,
} from './runner-protocol.js';

const RESULTS: readonly RunnerResult[] = ['Succeeded', 'Failed', 'Canceled'];
const CAUSES: readonly RunnerEndedBy[] = ['itself', 'runner-shutdown', 'worker-crash'];

export function isRegistrationRequest(body: unknown): body is RegistrationRequest {
  const { url, name, labels, runner_group, os, arch, version, ...flags } = fields(body);
  return (
    areTexts(url, name, runner_group, os, arch, version) &&
    name !== '' &&
    Array.isArray(labels) &&
    areTexts(...(labels as unknown[])) &&
    [flags['no_default_labels'], flags['ephemeral'], flags['replace']].every(
      (flag) => typeof flag === 'boolean',
    )
  );
}

export function isSessionRequest(body: unknown): body is SessionRequest {
  const { version, os } = fields(body);
  return areTexts(version, os);
}

export function isJobCompletion(body: unknown): body is JobCompletion {
  const { result, ended_by } = fields(body);
  return RESULTS.includes(result as RunnerResult) && CAUSES.includes(ended_by as RunnerEndedBy);
}

const fields = (body: unknown) =>
  (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
const areTexts = (...values: unknown[]) => values.every((value) => typeof value === 'string');
