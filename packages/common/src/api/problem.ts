import * as z from 'zod';

/** An error of the operator API (RFC 9457, `application/problem+json`). `type` is stable; scripts may rely on it. */
export const problemSchema = z.object({
  type: z.string().describe('for example urn:mig:problem:unknown-vm; stable'),
  title: z.string(),
  status: z.int(),
  detail: z.string().describe('names the thing, the value and the remedy'),
  /** Every fault of a bad request, each naming its field. */
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});
export type Problem = z.infer<typeof problemSchema>;

/** `code` in kebab-case is the last part. It identifies; nothing is served there. */
export const problemType = (code: string): string => `urn:mig:problem:${code}`;
