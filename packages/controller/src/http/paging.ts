import * as z from 'zod';
import { BadRequestError } from './problems.js';

/** Most entries of one page. */
const MAX_LIMIT = 10_000;

export const limitSchema = (defaultLimit: number) =>
  z.coerce
    .number()
    .pipe(z.int().min(1).max(MAX_LIMIT))
    .default(defaultLimit)
    .describe(`1 to ${MAX_LIMIT}; default ${defaultLimit}`);

export const cursorSchema = z.string().max(256).optional().describe('next_cursor of the page before');

/**
 * The page of `items` that follows the cursor. A cursor names the last item of the page before, so that items that come
 * and go between two pages neither shift nor repeat the rest.
 *
 * @param items sorted by `keyOf`
 * @throws BadRequestError if the cursor was not made by this function
 */
export function page<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  limit: number,
  cursor: string | undefined,
): { readonly items: T[]; readonly nextCursor: string | undefined } {
  const after = cursor === undefined ? '' : decode(cursor);
  const rest = after === '' ? items : items.filter((item) => keyOf(item) > after);
  const selected = rest.slice(0, limit);
  const last = selected.at(-1);
  return {
    items: selected,
    nextCursor: rest.length > limit && last !== undefined ? encode(keyOf(last)) : undefined,
  };
}

const encode = (key: string): string => Buffer.from(`after:${key}`).toString('base64url');

function decode(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString();
  if (!text.startsWith('after:'))
    throw new BadRequestError('cursor is not valid: take it from next_cursor of the page before');
  return text.slice('after:'.length);
}
