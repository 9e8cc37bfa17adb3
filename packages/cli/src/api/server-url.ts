import { UsageError } from '../errors.js';

export const DEFAULT_SERVER = 'http://127.0.0.1:8080';

/**
 * The address of the controller, without a slash at its end: `--server`, else MIGCTL_SERVER, else
 * http://127.0.0.1:8080. `host:port` alone means http.
 *
 * @throws UsageError naming where the address came from
 */
export function resolveServer(
  flag: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const fromEnv = env['MIGCTL_SERVER'];
  if (flag !== undefined) return parseServer(flag, '--server');
  return fromEnv === undefined || fromEnv === '' ? DEFAULT_SERVER : parseServer(fromEnv, 'MIGCTL_SERVER');
}

function parseServer(text: string, source: string): string {
  const withScheme = text.includes('://') ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  // An address may hold a password, so a wrong one is not repeated in full.
  if (url !== undefined && (url.username !== '' || url.password !== '')) {
    throw new UsageError(`${source}: a user name or password in the address is not supported: leave it out`);
  }
  if (
    url === undefined ||
    !['http:', 'https:'].includes(url.protocol) ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw new UsageError(
      `${source}: ${JSON.stringify(text)} is not the address of a controller`,
      `write it as ${DEFAULT_SERVER}`,
    );
  }
  return url.href.replace(/\/+$/, '');
}
