/** Lists that stand in a place for texts: drivers take options that are texts alone. */

/** The list that the text is, as JSON; undefined if it is none. */
export function parseList(value: string): string[] | undefined {
  if (!value.startsWith('[')) return undefined;
  try {
    const list: unknown = JSON.parse(value);
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined;
  } catch {
    return undefined;
  }
}
