import { toRfc3339 } from '@mig/common/clock';

/** Where the links of resources lead. */
export interface Places {
  /** Where the REST API begins, without a slash at the end. */
  readonly apiUrl: string;
  /** Where people and runners look: `http://host:port`. */
  readonly webUrl: string;
}

/** A time as GitHub spells it: no milliseconds. */
export const toGitHubTime = (epochMs: number): string => withoutMs(toRfc3339(epochMs));

export const withoutMs = (rfc3339: string): string => rfc3339.replace(/\.\d+Z$/, 'Z');

/** GitHub's opaque ids: the kind and the number. */
export const toNodeId = (kind: string, id: number): string =>
  `${kind}_${Buffer.from(String(id)).toString('base64url')}`;
