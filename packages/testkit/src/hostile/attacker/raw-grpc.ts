/** gRPC by hand over node:http2: what no client library would send can be sent. */
import http2 from 'node:http2';
import type { MigletMessage } from '@mig/common/domain/messages';
import { commandServiceDefinition } from '@mig/common/wire/command-service';
import { encodeMigletMessage } from '@mig/common/wire/miglet-message';
import { BOOT_ID, REPORT } from '../honest/honest-vm.js';
import type { Tally, Target } from './attack.js';

export function openSession(target: Target['grpc'], settings: http2.Settings = {}): http2.ClientHttp2Session {
  const session = http2.connect(`http://${target.host}:${target.port}`, { settings });
  session.on('error', () => undefined); // it closes
  return session;
}

export interface CallOptions {
  /** Default that of commands. */
  readonly path?: string;
  readonly token?: string;
  /** Its answers are not read. */
  readonly unread?: boolean;
}

/** A call whose end is counted, by its gRPC status, under the name. */
export function openCall(
  session: http2.ClientHttp2Session,
  name: string,
  tally: Tally,
  { path = commandServiceDefinition.streamCommands.path, token, unread = false }: CallOptions = {},
): http2.ClientHttp2Stream {
  const call = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  });
  let status: string | undefined;
  const note = (headers: http2.IncomingHttpHeaders): void => {
    const said = headers['grpc-status'];
    if (said !== undefined) status = `gRPC ${String(said)}`;
  };
  call.on('response', note);
  call.on('trailers', note);
  call.on('error', () => undefined); // it closes
  call.on('close', () => tally.add(`${name}: ${status ?? 'cut'}`));
  if (unread) call.pause();
  else call.resume();
  return call;
}

/** A message as gRPC frames it. @param claimed how long it says to be; default the truth */
export function frame(message: Uint8Array, claimed = message.length): Buffer {
  const framed = Buffer.alloc(5 + message.length);
  framed.writeUInt32BE(claimed, 1);
  framed.set(message, 5);
  return framed;
}

const framed = (message: MigletMessage): Buffer => frame(encodeMigletMessage(message));

const identityOf = ({ vmId, poolId }: Pick<Target, 'vmId' | 'poolId'>) => ({
  vmId,
  poolId,
  orgId: '',
  bootId: BOOT_ID,
});

export const helloOf = (target: Pick<Target, 'vmId' | 'poolId'>): Buffer =>
  framed({
    kind: 'connect',
    request: { ...identityOf(target), version: '0.1.0', state: 'ready.idle', labels: [] },
  });

export const heartbeatOf = (target: Pick<Target, 'vmId' | 'poolId'>): Buffer =>
  framed({
    kind: 'heartbeat',
    heartbeat: { ...identityOf(target), at: Date.now(), intervalMs: 0, report: REPORT },
  });

/** @param sequence from 1; the controller owes an acknowledgement for it */
export const eventOf = (target: Pick<Target, 'vmId' | 'poolId'>, sequence: number, text = ''): Buffer =>
  framed({
    kind: 'event',
    event: { ...identityOf(target), type: 'note', data: { text }, at: Date.now(), sequence },
  });
