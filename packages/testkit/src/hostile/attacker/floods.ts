/** Too much of what is allowed. */
import { requestBytes, openRawRequests } from './raw-http.js';
import { atRate, type Attack } from './attack.js';
import { helloOf, heartbeatOf, openCall, openSession } from './raw-grpc.js';

const PER_SECOND = 10_000;
const CONNECTIONS = 50;
/** Heartbeats that wait in this process while the controller does not read: then it sends no more, as its rate is met by nobody. */
const WAITING_BYTES = 4 * 2 ** 20;

export const streamHeartbeats: Attack = (target, tally) => {
  const name = 'stream';
  const hello = helloOf(target);
  const beat = heartbeatOf(target);
  let call: ReturnType<typeof openCall> | undefined;
  function open(): void {
    const session = openSession(target.grpc);
    const opened = openCall(session, name, tally, { token: target.session });
    call = opened;
    tally.add(`${name}: opened`);
    opened.write(hello);
    let isOver = false;
    const again = (): void => {
      if (isOver) return;
      isOver = true;
      session.destroy();
      call = undefined;
      setImmediate(open);
    };
    // It has been told to end: it does not wait until all that it has sent is read.
    opened.on('end', again);
    opened.on('close', again);
    session.on('close', again);
  }
  open();
  atRate(PER_SECOND, () => {
    if (call === undefined || call.destroyed || call.writableLength > WAITING_BYTES) {
      tally.add(`${name}: heartbeats that it could not send`);
      return;
    }
    call.write(beat);
    tally.add(`${name}: heartbeats`);
  });
};

export const httpHeartbeats: Attack = (target, tally) => {
  const name = 'HTTP';
  const body = JSON.stringify({ vm_id: target.vmId, pool_id: target.poolId, miglet_state: 'ready.idle' });
  const bytes = requestBytes('POST', `/api/v1/vms/${target.vmId}/heartbeat`, target.session, body);
  const requests = openRawRequests(target.http, CONNECTIONS, name, tally);
  atRate(PER_SECOND, () =>
    tally.add(requests.send(bytes) ? `${name}: requests` : `${name}: requests that it could not send`),
  );
};

/** Alternately: a join with a token that is none, a session that is none, over both. */
export const failedJoins: Attack = (target, tally) => {
  const name = 'joins';
  const wrongs = ['mig_join_wrong', `${target.session.slice(0, -20)}${'A'.repeat(20)}`, 'a.b.c'];
  const requests = openRawRequests(target.http, CONNECTIONS, name, tally);
  let turn = 0;
  atRate(5_000, () => {
    turn += 1;
    const vmId = `nobody-${turn % 1_000}`;
    const body = JSON.stringify({ type: 'vm_started', pool_id: target.poolId, boot_id: 'boot-1' });
    requests.send(
      requestBytes('POST', `/api/v1/vms/${vmId}/events`, wrongs[turn % wrongs.length] ?? '', body),
    );
  });
  const session = () => openSession(target.grpc);
  let open = session();
  let waiting = 0;
  atRate(2_000, () => {
    if (open.destroyed) open = session();
    if (waiting > 90) return;
    waiting += 1;
    const call = openCall(open, `${name} gRPC`, tally, { token: wrongs[turn % wrongs.length] ?? '' });
    call.on('close', () => (waiting -= 1));
    call.write(helloOf({ vmId: `nobody-${turn % 1_000}`, poolId: target.poolId }));
  });
};

/** What anybody may ask, what is not there, and bodies without a credential. */
export const strangers: Attack = (target, tally) => {
  const name = 'strangers';
  const large = JSON.stringify({ type: 'vm_started', data: Array.from({ length: 100_000 }, () => [[]]) });
  const all = [
    requestBytes('GET', '/healthz'),
    requestBytes('GET', '/api/v1/openapi.json'),
    requestBytes('GET', '/no/such/thing'),
    requestBytes('GET', '/api/v1/vms'),
    requestBytes('POST', '/api/v1/vms/vm-1/heartbeat', undefined, '{}'),
    requestBytes('POST', '/api/v1/vms/vm-1/events', undefined, large),
    Buffer.from('this is no HTTP\r\n\r\n'),
  ];
  const requests = openRawRequests(target.http, CONNECTIONS, name, tally);
  let turn = 0;
  atRate(5_000, () => {
    turn += 1;
    const bytes = all[turn % all.length];
    if (bytes !== undefined) requests.send(bytes);
  });
  const paths = [
    '/grpc.health.v1.Health/Check',
    '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
    '/no.such.Service/Method',
    undefined,
  ];
  let open = openSession(target.grpc);
  let waiting = 0;
  atRate(2_000, () => {
    if (open.destroyed) open = openSession(target.grpc);
    if (waiting > 90) return;
    waiting += 1;
    turn += 1;
    const path = paths[turn % paths.length];
    const call = openCall(open, `${name} gRPC`, tally, path === undefined ? {} : { path });
    call.on('close', () => (waiting -= 1));
    call.end(path === undefined ? helloOf(target) : Buffer.alloc(5));
  });
};
