/** What is less secure about a MIGlet than it could be, for its log: said at each start, so that it is never so in silence. */
import { isIPv4 } from 'node:net';
import type { MigletConfig } from './config.js';

/**
 * @param isSameUser the runner and its jobs run as the MIGlet's own user
 * @returns one sentence for each; empty = nothing
 */
export function exposuresOf(
  { controller, state_dir: stateDirectory }: Pick<MigletConfig, 'controller' | 'state_dir'>,
  isSameUser: boolean,
): string[] {
  const { method, token_file: tokenFile } = controller.join;
  if (method === 'none' || (method === 'auto' && tokenFile === '')) return [];
  const found: string[] = [];
  const { protocol, hostname } = new URL(controller.endpoint);
  if (protocol === 'http:' && !isLoopback(hostname)) {
    found.push(
      `what this VM joins by, and its session, go to ${controller.endpoint} without TLS: whoever is on the way can read and use them; give the controller tls.cert_file, and name it with https://`,
    );
  }
  if (isSameUser) {
    found.push(
      `jobs run as the MIGlet's own user: every job can read the session of this VM in ${stateDirectory}, and speak for it; run the MIGlet as root, with runner.user`,
    );
  }
  return found;
}

const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'));
