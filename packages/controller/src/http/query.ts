/** The parameters of a query: a name that the route does not know is refused, since a filter that is misspelt would show all. */
import * as z from 'zod';

export function query<S extends z.ZodRawShape>(shape: S) {
  const names = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `no parameter ${issue.keys.map((key) => JSON.stringify(key)).join(', ')} here: there are ${names}`
        : undefined,
  });
}
