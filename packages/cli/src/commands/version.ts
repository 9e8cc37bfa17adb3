import * as z from 'zod';
import { VERSION } from '@mig/common/version';
import { secureFetch } from '../access/secure-fetch.js';
import { createHttp } from '../api/http.js';
import { EXIT, type ExitCode } from '../errors.js';
import { toJson } from '../output/format.js';
import { safe } from '../output/text.js';
import type { Session } from '../session.js';

/** The controller's version is extra: a version that is asked for in a hurry does not wait long for it. */
const MAX_WAIT_MS = 2_000;
const healthSchema = z.object({ version: z.string() });

/** `version`: of migctl, and of the controller if one answers. */
export async function showVersion(
  { io, server, connection }: Session,
  output: 'table' | 'json',
): Promise<ExitCode> {
  const http = createHttp({
    fetch: secureFetch(io.fetch, connection.tls),
    server,
    requestTimeoutMs: MAX_WAIT_MS,
    interrupted: io.interrupted,
  });
  const answer = await http({ method: 'GET', path: '/health' });
  const health = answer.kind === 'ok' ? healthSchema.safeParse(answer.value) : undefined;
  const controller = health?.success === true ? health.data.version : undefined;
  if (output === 'json') {
    io.stdout.write(`${toJson({ migctl: VERSION, controller: controller ?? null, server }, 2)}\n`);
  } else {
    const other = controller === undefined ? 'does not answer' : safe(controller);
    io.stdout.write(`migctl      ${VERSION}\ncontroller  ${other} (${server})\n`);
  }
  return EXIT.done;
}
