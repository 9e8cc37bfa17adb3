/** GitHub's schemas of the webhook `workflow_job` (`data/github/workflow-job-schemas.json`), and its example payloads. */
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';

export type WorkflowJobAction = 'queued' | 'in_progress' | 'completed' | 'waiting';

const FOLDER = new URL('../../../data/github/', import.meta.url);
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'));

type Validator = (payload: unknown) => readonly string[];

/** One for all stand-ins of a process: it never changes. */
let shared: Validator | undefined;

/** What the schemas say against a payload of `workflow_job`; empty: nothing. */
export const findPayloadFaults: Validator = (payload) => {
  shared ??= createValidator();
  return shared(payload);
};

/** GitHub's eight example payloads; seven of them satisfy the schemas of today, the first is of 2021. */
export function readExamplePayloads(): readonly Record<string, unknown>[] {
  return (read('workflow-job-examples.json') as { examples: Record<string, unknown>[] }).examples;
}

function createValidator(): Validator {
  const ajv = new Ajv2020({ allErrors: true, strict: false, logger: false });
  ajvFormats.default(ajv);
  ajv.addSchema(read('workflow-job-schemas.json') as object, 'github');
  return (payload) => {
    const action = String((payload as { action?: unknown } | null)?.action).replaceAll('_', '-');
    const validate = ajv.getSchema(`github#/components/schemas/webhook-workflow-job-${action}`);
    if (validate === undefined) return [`there is no workflow_job with the action ${action}`];
    void validate(payload); // the answer is in its errors; asynchronous schemas are not among these
    return (validate.errors ?? []).map((error) => `${error.instancePath || '/'} ${error.message ?? ''}`);
  };
}
