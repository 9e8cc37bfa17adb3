/** A record as its file holds it: JSON for people too. */
export const toJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
