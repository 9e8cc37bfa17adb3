/** A client for tests: requests as any client of GitHub makes them, and nothing between. */
export interface TestReply<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly json: T;
}

export type TestCall = <T = Record<string, unknown>>(
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<TestReply<T>>;

/** @param target asked at every call, for the stand-in of each test */
export function createTestCall(target: () => { readonly apiUrl: string }, token = 'secret'): TestCall {
  return async <T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`${target().apiUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, accept: 'application/vnd.github+json', ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      json: JSON.parse(text === '' ? '{}' : text) as T,
    };
  };
}
