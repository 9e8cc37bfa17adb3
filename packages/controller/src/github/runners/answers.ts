/** What of GitHub's answers is read, and how it must look: a cut body or a proxy's page must not pass for an answer. */
import * as z from 'zod';
import { GitHubCallError } from '../client/github-client.js';

export const runnerSchema = z.object({
  id: z.int(),
  name: z.string(),
  status: z.string(),
  busy: z.boolean(),
  labels: z.array(z.object({ name: z.string(), type: z.string().optional() })),
});

export const runnerPageSchema = z.object({ total_count: z.int(), runners: z.array(runnerSchema) });

export const groupPageSchema = z.object({
  total_count: z.number(),
  runner_groups: z.array(z.object({ id: z.number(), name: z.string() })),
});

export const jitConfigSchema = z.object({ runner: runnerSchema, encoded_jit_config: z.string().min(1) });

export const registrationTokenSchema = z.object({ token: z.string().min(1), expires_at: z.string() });

export const downloadsSchema = z.array(
  z.object({
    os: z.string(),
    architecture: z.string(),
    download_url: z.string(),
    filename: z.string(),
    sha256_checksum: z.string().optional(),
  }),
);

/** @throws GitHubCallError `unreachable`: something between here and GitHub answered in its place, or the answer was cut */
export function readAnswer<S extends z.ZodType>(schema: S, data: unknown, what: string): z.infer<S> {
  const read = schema.safeParse(data);
  if (read.success) return read.data;
  // Not what was there: it may hold a secret (I8).
  const where = read.error.issues.map(({ path, code }) => `${path.join('.') || 'body'}: ${code}`).join('; ');
  throw new GitHubCallError(
    'unreachable',
    `the answer to ${what} is not one of GitHub's (${where}): check github.api_url, and what stands between`,
    undefined,
    undefined,
  );
}
