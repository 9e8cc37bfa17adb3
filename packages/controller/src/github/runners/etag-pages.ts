/**
 * Lists that GitHub is asked for again and again: what has not changed since the last time (304) costs nothing of the hourly
 * limit, and is taken from here. Octokit throws on a 304.
 */
import type { Octokit } from '@octokit/rest';

/** Pages that are kept; of those over it the ones go that were not asked for the longest (I12). A page is some 60 KB. */
const MAX_PAGES = 200;

export interface EtagPages {
  /** The body of `GET url`, now. */
  get(
    octokit: Octokit,
    url: string,
    parameters: Readonly<Record<string, string | number>>,
    request: { readonly signal: AbortSignal },
  ): Promise<unknown>;
}

export function createEtagPages(): EtagPages {
  const pages = new Map<string, { readonly etag: string; readonly data: unknown }>();

  function keep(key: string, page: { readonly etag: string; readonly data: unknown }): void {
    pages.delete(key);
    pages.set(key, page);
    for (const oldest of pages.keys()) {
      if (pages.size <= MAX_PAGES) break;
      pages.delete(oldest);
    }
  }

  return {
    async get(octokit, url, parameters, request) {
      const key = `${url}?${JSON.stringify(parameters)}`;
      const known = pages.get(key);
      const headers = known === undefined ? {} : { 'if-none-match': known.etag };
      try {
        const answer = await octokit.request(`GET ${url}`, { ...parameters, headers, request });
        const { etag } = answer.headers;
        const data: unknown = answer.data;
        if (etag === undefined) pages.delete(key);
        else keep(key, { etag, data });
        return data;
      } catch (error) {
        if (known === undefined || (error as { status?: unknown }).status !== 304) throw error;
        keep(key, known);
        return known.data;
      }
    },
  };
}
