/** The controller that is attacked, with its default limits, and the VM that attacks it. */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { POOL, type Control, type Ground } from '../reliability/ground.js';
import type { Target } from './attacker/attack.js';
import { get, joinVm, post } from './honest/join.js';
import type { HostileOptions, PartName } from './options.js';

export const HOSTILE_VM = 'vm-hostile';
const HERE = path.dirname(fileURLToPath(import.meta.url));

export interface SecureControl extends Control {
  readonly pid: number;
  readonly grpc: string;
  readonly adminToken: string;
  readonly joinToken: string;
}

/** Everything is as it is by default, but for the folder and the ports. */
export async function startControl(
  ground: Ground,
  name: PartName,
  { profile }: HostileOptions,
): Promise<SecureControl> {
  let grpc = '';
  if (profile !== undefined) mkdirSync(profile, { recursive: true });
  const control = await ground.startControl({
    env: {
      CONTROLLER_INSECURE: 'false',
      CONTROLLER_GITHUB_AUTH: 'none',
      ...(profile === undefined
        ? {}
        : {
            NODE_OPTIONS: `--import ${path.join(HERE, 'profile-process.js')}`,
            PROFILE_FILE: path.resolve(profile, `${name}.cpuprofile`),
          }),
    },
    onControllerLog(entry) {
      if (entry['event'] === 'listening') grpc = String(entry['grpc']);
    },
  });
  const file = path.join(control.controller.dataDirectory, '.auth', 'admin-token');
  const adminToken = readFileSync(file, 'utf8').trim();
  const made = await post(control.controller.http, '/api/v1/tokens', {
    token: adminToken,
    body: { kind: 'join', name: 'vms', pool_id: POOL, expires_in_ms: 86_400_000 },
  });
  if (made.status !== 201) throw new Error(`no join token: ${made.status} ${JSON.stringify(made.json)}`);
  return { ...control, pid: control.controller.pid, grpc, adminToken, joinToken: String(made.json['token']) };
}

export async function joinHostile({ controller, grpc, joinToken }: SecureControl): Promise<Target> {
  const place = { vmId: HOSTILE_VM, poolId: POOL };
  const session = await joinVm(controller.http, { ...place, joinToken });
  const { hostname, port } = new URL(controller.http);
  const [host = '', grpcPort] = grpc.split(':');
  return {
    ...place,
    session,
    http: { host: hostname, port: Number(port) },
    grpc: { host, port: Number(grpcPort) },
  };
}

export async function limitsReached({ controller }: Control): Promise<Readonly<Record<string, number>>> {
  const { json } = await get(controller.http, '/health');
  return json['limits_reached'] as Record<string, number>;
}
