/** An error of the JSON Schema validator, as much of it as is used here. */
export interface SchemaError {
  /** Where, from the request: `/requestBody/labels/0`, `/query/per_page`, `/path/runner_id`. */
  readonly instancePath: string;
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message?: string;
}

/** As GitHub says it under `Invalid request.`: `"name" wasn't supplied.`, `For 'properties/labels', 3 is not an array.` */
export function toFault(error: SchemaError, body: unknown): string {
  const [, part, ...keys] = error.instancePath.split('/');
  if (error.keyword === 'required') {
    const missing = String(error.params['missingProperty']);
    return part === undefined ? 'A body is required.' : `"${missing}" wasn't supplied.`;
  }
  if (error.keyword === 'additionalProperties')
    return `"${String(error.params['additionalProperty'])}" is not a permitted key.`;
  const where = part === 'requestBody' ? `properties/${keys.join('/')}` : `${part ?? ''}/${keys.join('/')}`;
  const value = part === 'requestBody' ? show(valueAt(body, keys)) : 'the value';
  return `For '${where}', ${value} ${describe(error)}.`;
}

function describe({ keyword, params, message }: SchemaError): string {
  switch (keyword) {
    case 'type': {
      const type = String(params['type']);
      return `is not ${/^[aeio]/.test(type) ? 'an' : 'a'} ${type}`;
    }
    case 'enum':
      return `is not a member of ${show(params['allowedValues'])}`;
    default:
      return `is not right: it ${message ?? 'is refused'}`;
  }
}

function valueAt(body: unknown, keys: readonly string[]): unknown {
  let value = body;
  for (const key of keys) value = (value as Record<string, unknown> | null | undefined)?.[key];
  return value;
}

const show = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 100);
