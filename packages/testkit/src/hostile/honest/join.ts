/** Joins and orders over HTTP, as a VM and an operator make them. */
import http from 'node:http';
import { BOOT_ID } from './honest-vm.js';

export interface Answer {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
}

/** The VMs are where the attacker is, as behind one router; the operator is elsewhere. */
export const OPERATOR_ADDRESS = '127.0.0.2';

export interface PostOptions {
  readonly token: string;
  readonly body: object;
  /** Default a connection of its own. */
  readonly agent?: http.Agent;
}

/** As the operator. Rejects as `post`. */
export const get = (endpoint: string, target: string): Promise<Answer> =>
  ask(endpoint, target, { method: 'GET', localAddress: OPERATOR_ADDRESS, agent: false }, '');

/** Rejects with the system's error, and after 30 s without an answer. */
export function post(endpoint: string, target: string, options: PostOptions): Promise<Answer> {
  const text = JSON.stringify(options.body);
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    authorization: `Bearer ${options.token}`,
  };
  return ask(endpoint, target, { method: 'POST', agent: options.agent ?? false, headers }, text);
}

function ask(endpoint: string, target: string, options: http.RequestOptions, text: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(`${endpoint}${target}`, { timeout: TIMEOUT_MS, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, json: parse(Buffer.concat(chunks).toString()) }),
      );
    });
    request.on('timeout', () => request.destroy(new Error(`${target}: no answer within 30 s`)));
    request.on('error', reject);
    request.end(text);
  });
}

/** @returns the session token. @throws Error if the VM may not join */
export async function joinVm(
  endpoint: string,
  vm: { readonly vmId: string; readonly poolId: string; readonly joinToken: string },
): Promise<string> {
  const { status, json } = await post(endpoint, `/api/v1/vms/${vm.vmId}/events`, {
    token: vm.joinToken,
    body: { type: 'vm_started', pool_id: vm.poolId, boot_id: BOOT_ID, sequence: 1 },
  });
  if (status !== 200) throw new Error(`VM ${vm.vmId} did not join: ${status} ${JSON.stringify(json)}`);
  return String(json['session_token']);
}

const TIMEOUT_MS = 30_000;

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
