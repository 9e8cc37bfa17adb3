import type { Repository } from '../directory.js';
import { toAccountResource } from './account-resource.js';
import { toNodeId, type Places } from './places.js';

/** Every repository of the stand-in was made at its beginning: 2026-01-01. */
const CREATED_AT = '2026-01-01T00:00:00Z';

/** What follows a repository's own address in its links. */
const LINKS = {
  archive_url: '/{archive_format}{/ref}',
  assignees_url: '/assignees{/user}',
  blobs_url: '/git/blobs{/sha}',
  branches_url: '/branches{/branch}',
  collaborators_url: '/collaborators{/collaborator}',
  comments_url: '/comments{/number}',
  commits_url: '/commits{/sha}',
  compare_url: '/compare/{base}...{head}',
  contents_url: '/contents/{+path}',
  contributors_url: '/contributors',
  deployments_url: '/deployments',
  downloads_url: '/downloads',
  events_url: '/events',
  forks_url: '/forks',
  git_commits_url: '/git/commits{/sha}',
  git_refs_url: '/git/refs{/sha}',
  git_tags_url: '/git/tags{/sha}',
  hooks_url: '/hooks',
  issue_comment_url: '/issues/comments{/number}',
  issue_events_url: '/issues/events{/number}',
  issues_url: '/issues{/number}',
  keys_url: '/keys{/key_id}',
  labels_url: '/labels{/name}',
  languages_url: '/languages',
  merges_url: '/merges',
  milestones_url: '/milestones{/number}',
  notifications_url: '/notifications{?since,all,participating}',
  pulls_url: '/pulls{/number}',
  releases_url: '/releases{/id}',
  stargazers_url: '/stargazers',
  statuses_url: '/statuses/{sha}',
  subscribers_url: '/subscribers',
  subscription_url: '/subscription',
  tags_url: '/tags',
  teams_url: '/teams',
  trees_url: '/git/trees{/sha}',
} as const;

/** What `repository`, `minimal-repository` and `repository-webhooks` require, which is one shape. */
export function toRepositoryResource(repository: Repository, places: Places) {
  const { id, name, owner, fullName } = repository;
  const url = `${places.apiUrl}/repos/${fullName}`;
  const htmlUrl = `${places.webUrl}/${fullName}`;
  return {
    id,
    node_id: toNodeId('R', id),
    name,
    full_name: fullName,
    private: true,
    owner: toAccountResource({ ...owner, type: 'Organization' }, places),
    html_url: htmlUrl,
    description: null,
    fork: false,
    url,
    ...linksOf(url),
    created_at: CREATED_AT,
    updated_at: CREATED_AT,
    pushed_at: CREATED_AT,
    git_url: `git:${htmlUrl.slice(htmlUrl.indexOf('//'))}.git`,
    ssh_url: `git@${new URL(places.webUrl).hostname}:${fullName}.git`,
    clone_url: `${htmlUrl}.git`,
    svn_url: htmlUrl,
    homepage: null,
    size: 0,
    stargazers_count: 0,
    watchers_count: 0,
    language: null,
    has_issues: true,
    has_projects: true,
    has_downloads: true,
    has_wiki: true,
    has_pages: false,
    forks_count: 0,
    mirror_url: null,
    archived: false,
    disabled: false,
    open_issues_count: 0,
    license: null,
    forks: 0,
    open_issues: 0,
    watchers: 0,
    default_branch: 'main',
    visibility: 'private',
    topics: [],
  };
}

const linksOf = (url: string) =>
  Object.fromEntries(Object.entries(LINKS).map(([name, rest]) => [name, `${url}${rest}`]));
