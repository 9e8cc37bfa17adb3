import type { StandInRequest } from './exchange.js';

export interface Page {
  readonly number: number;
  readonly size: number;
  /** Index of the first item, and of the first that is no more on the page. */
  readonly from: number;
  readonly to: number;
}

/** `page` (default 1) and `per_page` (default 30, at most 100). Like GitHub, what makes no sense counts as not given. */
export function readPage(query: URLSearchParams): Page {
  const size = Math.min(positive(query.get('per_page')) ?? 30, 100);
  const number = positive(query.get('page')) ?? 1;
  return { number, size, from: (number - 1) * size, to: number * size };
}

/** The `link` header; none if all fits on one page. */
export function toLinkHeader(request: StandInRequest, page: Page, total: number): Record<string, string> {
  const last = Math.max(1, Math.ceil(total / page.size));
  const link = (number: number, rel: string) => {
    const query = new URLSearchParams(request.query);
    query.set('page', String(number));
    return `<${request.origin}${request.path}?${query.toString()}>; rel="${rel}"`;
  };
  const links = [
    ...(page.number > 1 ? [link(page.number - 1, 'prev')] : []),
    ...(page.number < last ? [link(page.number + 1, 'next'), link(last, 'last')] : []),
    ...(page.number > 1 ? [link(1, 'first')] : []),
  ];
  return links.length === 0 ? {} : { link: links.join(', ') };
}

function positive(text: string | null): number | undefined {
  return text !== null && /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
}
