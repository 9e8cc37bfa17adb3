/** Words of `describe github` and `get runners`. */
import type { FindingResource, GitHubResource, RunnerRowResource } from '@mig/common/api/github-resource';
import { safe } from '../output/text.js';
import { ageOf } from '../output/time.js';

type Installation = GitHubResource['installations'][number];
type CallClass = keyof Installation['calls'];

/** What GitHub says of a runner: `online`, `online, busy`, `offline`, `none`; `?` if it could not be asked yet. */
export function githubText({ github, listed_at: listedAt }: RunnerRowResource): string {
  if (listedAt === undefined) return '?';
  if (github === null) return 'none';
  return `${github.status}${github.busy ? ', busy' : ''}`;
}

/** What the VM says of its runner: its state, and what does not go without saying. */
export function vmSaysText({ name, vm }: RunnerRowResource): string {
  if (vm === null) return '';
  const other =
    vm.runner_name === undefined
      ? 'nothing of a runner'
      : vm.runner_name === ''
        ? 'no runner'
        : vm.runner_name === name
          ? undefined
          : `runner ${vm.runner_name}`;
  const silent = vm.liveness === 'alive' ? undefined : vm.liveness;
  return [vm.state, other, vm.job === undefined ? undefined : `job ${vm.job}`, silent]
    .filter((part) => part !== undefined)
    .join(', ');
}

/** `ghost: delete`; `ghost` if it is left alone. */
export const findingText = ({ kind, action }: FindingResource): string =>
  action === 'none' ? kind : `${kind}: ${action}`;

/** How the controller signs in. */
export function authText({ auth }: GitHubResource): string {
  switch (auth) {
    case 'none':
      return 'none: the controller does not sign in at GitHub, and registrations wait (github.auth)';
    case 'token':
      return 'with a token';
    case 'app':
      return 'as a GitHub App';
  }
}

/** `4210 of 5000 left, until 12:30:00Z (in 24m)`. */
export function limitText({ limit, remaining, reset_at: resetAt }: Installation, nowMs: number): string {
  if (limit === undefined || remaining === undefined) return 'not known yet';
  const until = resetAt === undefined ? '' : `, anew in ${inText(resetAt, nowMs)}`;
  return `${remaining} of ${limit} requests left in this hour${until}`;
}

/** `registration 12, deletion 3 (1 put off)`; classes of which there was nothing are left out. */
export function callsText({ calls }: Installation): string {
  const texts = (Object.keys(calls) as CallClass[]).flatMap((name) => {
    const { made, put_off: putOff } = calls[name];
    if (made === 0 && putOff === 0) return [];
    return [`${name} ${made}${putOff === 0 ? '' : ` (${putOff} put off)`}`];
  });
  return texts.length === 0 ? 'none' : texts.join(', ');
}

/** What has to wait now, and until when; empty if nothing has to. */
export function waitingText({ waiting, quiet_until: quietUntil }: Installation, nowMs: number): string {
  const quiet =
    quietUntil === undefined || Date.parse(quietUntil) <= nowMs
      ? []
      : [`all, because GitHub asks to be left alone for ${inText(quietUntil, nowMs)}`];
  const classes = waiting.map((wait) => `${wait.class} for ${inText(wait.until, nowMs)}`);
  return [...quiet, ...classes].map(safe).join('; ');
}

/** How long until a time of the API. */
const inText = (time: string, nowMs: number): string =>
  ageOf(new Date(2 * nowMs - Date.parse(time)).toISOString(), nowMs);
