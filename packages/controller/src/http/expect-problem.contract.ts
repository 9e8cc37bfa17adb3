/** Asks for something that is refused, and checks that the refusal is a problem (RFC 9457). */
import { expect } from '@jest/globals';
import { problemSchema, type Problem } from '@mig/common/api/problem';
import type { CallOptions, TestController } from '../test-controller.contract.js';

export async function expectProblem(
  test: TestController,
  method: string,
  target: string,
  options?: CallOptions,
): Promise<Problem> {
  const { status, headers, json } = await test.call<Problem>(method, target, options);
  expect(headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(problemSchema.parse(json)).toEqual(json);
  expect(json.status).toBe(status);
  return json;
}
