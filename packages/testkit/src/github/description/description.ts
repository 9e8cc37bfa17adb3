/**
 * GitHub's own REST description (`data/github/rest-api.json`, its README says where from), as the judge of requests and
 * answers. It says nothing of credentials; `callers.ts` does.
 */
import { readFileSync } from 'node:fs';
import ajvFormats from 'ajv-formats';
import { OpenAPIBackend, type Document } from 'openapi-backend';
import { toFault, type SchemaError } from './faults-in-words.js';

export interface Operation {
  /** `actions/create-registration-token-for-org`. */
  readonly id: string;
  readonly method: string;
  /** With its named parts: `/orgs/{org}/actions/runners`. */
  readonly path: string;
  /** False: GitHub refuses an App's installation token here. */
  readonly forInstallations: boolean;
}

export interface DescribedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

/** What the description says against a request, by where it is wrong; each in GitHub's words. */
export interface RequestFaults {
  readonly path: readonly string[];
  readonly query: readonly string[];
  readonly body: readonly string[];
}

export interface Description {
  readonly operations: readonly Operation[];
  /** `path` with its named parts. */
  find(method: string, path: string): Operation | undefined;
  findRequestFaults(operation: Operation, request: DescribedRequest): RequestFaults;
  /**
   * What is wrong with an answer; empty: nothing. GitHub names only some of its refusals, so a status of 400 or more that
   * is not described has to be a `basic-error`; any other status that is not described is wrong.
   */
  findAnswerFaults(operation: Operation, status: number, body: unknown): readonly string[];
}

const FILE = new URL('../../../data/github/rest-api.json', import.meta.url);

/** It never changes and takes long to make, so that all stand-ins of a process share it. */
let shared: Promise<Description> | undefined;

export function loadDescription(): Promise<Description> {
  shared ??= createDescription(JSON.parse(readFileSync(FILE, 'utf8')) as Document);
  return shared;
}

async function createDescription(definition: Document): Promise<Description> {
  const api = new OpenAPIBackend({
    definition,
    quick: true,
    strict: true,
    ajvOpts: { allErrors: true, logger: false },
    customizeAjv: (ajv) => ajvFormats.default(ajv),
  });
  await api.init();

  const known = api.router.getOperations();
  const operations: Operation[] = known.map((operation) => ({
    id: operation.operationId ?? '',
    method: operation.method.toUpperCase(),
    path: operation.path,
    forInstallations: (operation as unknown as GitHubsOwn)['x-github'].enabledForGitHubApps,
  }));
  const byPath = new Map(operations.map((operation) => [`${operation.method} ${operation.path}`, operation]));
  const statuses = new Map(
    known.map(({ operationId, responses }) => [operationId, Object.keys(responses ?? {})]),
  );

  return {
    operations,
    find: (method, path) => byPath.get(`${method} ${path}`),
    findRequestFaults(operation, request) {
      const result = api.validator.validateRequest(
        {
          method: request.method,
          path: request.path,
          query: toQuery(request.query),
          headers: { 'content-type': 'application/json' }, // GitHub reads a body as JSON, whatever its type says
          body: request.body,
        },
        operation.id,
      );
      const errors = (result.errors ?? []) as SchemaError[];
      const within = (part: string) =>
        errors.filter((error) => partOf(error) === part).map((error) => toFault(error, request.body));
      return { path: within('path'), query: within('query'), body: within('requestBody') };
    },
    findAnswerFaults(operation, status, body) {
      if (statuses.get(operation.id)?.includes(String(status)) === true) {
        const { errors } = api.validator.validateResponse(body ?? null, operation.id, status);
        return (errors ?? []).map((error) => `${error.instancePath || 'the body'} ${error.message ?? ''}`);
      }
      if (status === 304 && operation.method === 'GET')
        return body === undefined ? [] : ['a 304 that has a body'];
      if (status < 400) return [`the description of ${operation.id} has no status ${status}`];
      return isBasicError(body) ? [] : ['a refusal without message and documentation_url'];
    },
  };
}

interface GitHubsOwn {
  readonly 'x-github': { readonly enabledForGitHubApps: boolean };
}

/** The first part of where the error is; for the request as a whole (a body is missing), what is missing. */
function partOf(error: SchemaError): string {
  const [, part] = error.instancePath.split('/');
  const missing = error.params['missingProperty'];
  return part ?? (typeof missing === 'string' ? missing : '');
}

/** One value for a name, a list for a repeated name. */
function toQuery(query: URLSearchParams): Record<string, string | string[]> {
  const names = [...new Set(query.keys())];
  return Object.fromEntries(
    names.map((name) => {
      const values = query.getAll(name);
      return [name, values.length === 1 ? (values[0] ?? '') : values];
    }),
  );
}

function isBasicError(body: unknown): boolean {
  const error = (body ?? {}) as { message?: unknown; documentation_url?: unknown };
  return typeof error.message === 'string' && typeof error.documentation_url === 'string';
}
