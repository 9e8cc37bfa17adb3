import { toNodeId, type Places } from './places.js';

export interface Account {
  readonly id: number;
  readonly login: string;
  readonly type: 'Organization' | 'User' | 'Bot';
}

/** Who does what nobody in particular does: pushes, queues jobs, creates tokens. */
export const ACTOR: Account = { id: 1, login: 'stand-in', type: 'User' };

/** Schema `simple-user`. */
export function toAccountResource({ id, login, type }: Account, { apiUrl, webUrl }: Places) {
  const url = `${apiUrl}/users/${login}`;
  return {
    login,
    id,
    node_id: toNodeId('U', id),
    avatar_url: `${webUrl}/avatars/${id}`,
    gravatar_id: '',
    url,
    html_url: `${webUrl}/${login}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type,
    site_admin: false,
  };
}

/** Schema `organization-simple-webhooks`. */
export function toOrganizationResource({ id, login }: Omit<Account, 'type'>, { apiUrl, webUrl }: Places) {
  const url = `${apiUrl}/orgs/${login}`;
  return {
    login,
    id,
    node_id: toNodeId('O', id),
    url,
    repos_url: `${url}/repos`,
    events_url: `${url}/events`,
    hooks_url: `${url}/hooks`,
    issues_url: `${url}/issues`,
    members_url: `${url}/members{/member}`,
    public_members_url: `${url}/public_members{/member}`,
    avatar_url: `${webUrl}/avatars/${id}`,
    description: '',
  };
}
