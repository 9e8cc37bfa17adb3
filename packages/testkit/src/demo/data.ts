/** The demo's folder: the key of its GitHub App, the secret of its webhook, what VMs join by, and what the controller keeps. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createAppKey } from '../github/app/app-key.js';
import { DemoFailedError } from './demo-failed.js';

export interface DemoData {
  readonly controller: string;
  readonly appKey: string;
  readonly webhookSecret: string;
  readonly joinToken: string;
  /** The controller's own, made by it. */
  readonly adminToken: string;
  readonly ledger: string;
}

/** Makes what is missing; what an earlier start left is used again. @throws DemoFailedError */
export function prepareData(folder: string): DemoData {
  const appKey = path.join(folder, 'github-app.pem');
  const webhookSecret = path.join(folder, 'webhook-secret');
  const joinToken = path.join(folder, 'join-token');
  const controller = path.join(folder, 'controller_data');
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    keepSecret(appKey, () => createAppKey().privateKey);
    keepSecret(webhookSecret, () => `stand-in-${randomBytes(16).toString('hex')}\n`);
    keepSecret(joinToken, () => `mig_join-${randomBytes(16).toString('hex')}\n`);
  } catch (error) {
    throw new DemoFailedError(
      `the data directory ${folder} cannot be used (${(error as Error).message}): give this user the right to write there, or choose another with --data-dir`,
    );
  }
  return {
    controller,
    joinToken,
    adminToken: path.join(controller, '.auth', 'admin-token'),
    appKey,
    webhookSecret,
    ledger: path.join(folder, 'processes.json'),
  };
}

function keepSecret(file: string, make: () => string): void {
  if (existsSync(file) && readFileSync(file, 'utf8').trim() !== '') return;
  writeFileSync(file, make(), { mode: 0o600 });
}
