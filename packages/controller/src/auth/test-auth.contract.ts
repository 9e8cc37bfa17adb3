/** A controller that asks for credentials, and what tests say to it. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { CreateTokenBody, CreatedTokenResource } from '@mig/common/api/auth-resource';
import type { AuditEntry } from '@mig/common/domain/audit';
import {
  startTestController,
  type TestController,
  type TestControllerOptions,
} from '../test-controller.contract.js';

export interface SecureController extends TestController {
  readonly adminToken: string;
  /** The audit log, whole. */
  audit(): Promise<AuditEntry[]>;
  makeToken(body: CreateTokenBody, by?: string): Promise<CreatedTokenResource>;
  operatorToken(roles: Record<string, 'viewer' | 'operator' | 'admin'>, name?: string): Promise<string>;
  joinToken(poolId: string, more?: { vm_id?: string; max_vms?: number }): Promise<string>;
  /** The VM announces itself with a join token; its session token. */
  joinVm(vmId: string, poolId?: string, bootId?: string): Promise<string>;
}

export const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });

export const DAY_MS = 86_400_000;

export async function startSecureController(options: TestControllerOptions = {}): Promise<SecureController> {
  const test = await startTestController({ ...options, config: { insecure: false, ...options.config } });
  const adminToken = (
    await readFile(path.join(test.directory, 'data', '.auth', 'admin-token'), 'utf8')
  ).trim();
  const secure: SecureController = Object.assign(test, {
    adminToken,
    async audit() {
      const entries: AuditEntry[] = [];
      let cursor: string | undefined;
      do {
        const query: string = cursor === undefined ? '' : `&cursor=${cursor}`;
        const { json } = await test.call<{ lines: string[]; next_cursor?: string }>(
          'GET',
          `/api/v1/audit?limit=10000${query}`,
          { headers: bearer(adminToken) },
        );
        entries.push(...json.lines.map((line) => JSON.parse(line) as AuditEntry));
        cursor = json.next_cursor;
      } while (cursor !== undefined);
      return entries;
    },
    async makeToken(body: CreateTokenBody, by = adminToken) {
      const { status, json, text } = await test.call<CreatedTokenResource>('POST', '/api/v1/tokens', {
        body,
        headers: bearer(by),
      });
      if (status !== 201) throw new Error(`no token: ${status} ${text}`);
      return json;
    },
    operatorToken: async (roles: Record<string, 'viewer' | 'operator' | 'admin'>, name = 'ann') =>
      (await secure.makeToken({ kind: 'operator', name, roles, expires_in_ms: DAY_MS })).token,
    joinToken: async (poolId: string, more: { vm_id?: string; max_vms?: number } = {}) =>
      (await secure.makeToken({ kind: 'join', name: 'vms', pool_id: poolId, expires_in_ms: DAY_MS, ...more }))
        .token,
    async joinVm(vmId: string, poolId = 'linux', bootId = 'boot-1') {
      const { status, json, text } = await test.call<{ session_token: string }>(
        'POST',
        `/api/v1/vms/${vmId}/events`,
        {
          headers: bearer(await secure.joinToken(poolId)),
          body: { type: 'vm_started', pool_id: poolId, boot_id: bootId, sequence: 1 },
        },
      );
      if (status !== 200) throw new Error(`VM ${vmId} did not join: ${status} ${text}`);
      return json.session_token;
    },
  });
  return secure;
}
