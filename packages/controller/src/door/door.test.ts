/** Who comes in at once, who waits, and who is sent away. */
import net, { type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '@mig/common/clock';
import { neverBusy } from '@mig/common/process-load';
import { until } from '@mig/testkit/github/until';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { peerOf } from '../auth/peer-address.js';
import { createDoor, type Door, type DoorDeps, type DoorOptions } from './door.js';

const sockets: Socket[] = [];
let server: Server;
let door: Door;
/** Those that have come in, in their order. */
let inside: string[];

async function open(options: Partial<DoorOptions>, deps: Partial<DoorDeps> = {}): Promise<void> {
  inside = [];
  door = createDoor(
    { clock: systemClock, random: () => 0, isBusy: neverBusy, ...deps },
    { perSecond: 1, chargeCalls: true, maxStrangers: 100, maxWaiting: 100, ...options },
  );
  server = net.createServer((socket) => {
    inside.push(peerOf(socket));
    socket.on('error', () => undefined);
    socket.resume();
  });
  door.guard(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
}

/** A connection that says something at once, as every client does. */
async function come(): Promise<Socket> {
  const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write('hello');
  return socket;
}

const peer = (socket: Socket): string => `127.0.0.1:${socket.localPort}`;

afterEach(async () => {
  door.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

describe('an address', () => {
  it('that is let in and then refused comes back no faster than a stranger', async () => {
    await open({ perSecond: 1 });
    const first = await come();
    await until('the first is in', () => inside.length === 1);
    door.vouch(peer(first), 'vm-1');
    door.refuse(peer(first));
    await come();
    await until('the next waits', () => door.counts().connections_delayed === 1);
    expect(inside).toEqual([peer(first)]);
  });

  it('that opens connections without end waits for the next; where one shows who it is, another comes in', async () => {
    await open({ perSecond: 2, maxStrangers: 1 });
    const first = await come();
    await until('the first is in', () => inside.length === 1);
    const second = await come();
    await until('the second waits', () => door.counts().connections_delayed === 1);
    expect(inside).toEqual([peer(first)]);
    door.vouch(peer(first), 'vm-1');
    await until('the second is in', () => inside.includes(peer(second)));
  });

  it('that has too many connections waiting loses one of those', async () => {
    await open({ maxStrangers: 1, maxWaiting: 2 });
    await come();
    await until('the first is in', () => inside.length === 1);
    const waiting = [await come(), await come(), await come()];
    await until('one is refused', () => door.counts().connections_refused === 1);
    await until('it is told', () => waiting.filter(({ closed }) => closed).length === 1);
  });

  it('that calls without a credential too often is told when it may again; who is let in gets it back', async () => {
    await open({ perSecond: 1 });
    const socket = await come();
    await until('it is in', () => inside.length === 1);
    const charges = Array.from({ length: 5 }, () => door.charge(peer(socket)));
    expect(charges.slice(0, 3)).toEqual([0, 0, 0]);
    expect(charges[4]).toBeGreaterThan(0);
    door.vouch(peer(socket), 'vm-1');
    expect(door.charge(peer(socket))).toBe(0);
  });

  it('of which nobody asks a credential pays for connections alone', async () => {
    await open({ chargeCalls: false });
    const socket = await come();
    await until('it is in', () => inside.length === 1);
    expect(Array.from({ length: 50 }, () => door.charge(peer(socket)))).toEqual(Array<number>(50).fill(0));
  });
});

describe('a connection', () => {
  it('on which too much came is closed; one that carries several VMs is not', async () => {
    await open({ perSecond: 100 });
    const [flood, proxy] = [await come(), await come()];
    await until('they are in', () => inside.length === 2);
    door.vouch(peer(proxy), 'vm-1');
    door.vouch(peer(proxy), 'vm-2');
    door.refuse(peer(proxy));
    door.refuse(peer(proxy));
    door.refuse(peer(flood));
    await until('it is closed', () => flood.closed);
    expect(proxy.closed).toBe(false);
  });

  it('that waits when the controller ends is closed, so that the server can', async () => {
    await open({ maxStrangers: 1 });
    await come();
    await until('the first is in', () => inside.length === 1);
    const waiting = await come();
    await until('it waits', () => door.counts().connections_delayed === 1);
    door.close();
    await until('it is closed', () => waiting.closed);
  });

  it('that comes while the process is busy waits for the next look, and enters with the others', async () => {
    const clock = createManualClock();
    await open({ perSecond: 100 }, { clock, isBusy: () => true });
    await come();
    await come();
    await until('both wait', () => door.counts().connections_delayed === 2);
    expect(inside).toEqual([]);
    await until('both are in', () => {
      clock.advance(10);
      return inside.length === 2;
    });
  });

  it('that has just come in has had its turn by that; its next call waits for one, as those of others do', async () => {
    const clock = createManualClock();
    await open({ perSecond: 100 }, { clock });
    const [first, second] = [await come(), await come()];
    await until('both are in', () => inside.length === 2);
    expect(door.turn(peer(first))).toBeUndefined();
    while (door.turn(peer(first)) === undefined);
    expect(door.turn(peer(second))).toBeUndefined();
    expect(door.turn(peer(second))).toBeInstanceOf(Promise);
  });

  it('that has come in long ago has to wait for its turn', async () => {
    const clock = createManualClock();
    await open({ perSecond: 100 }, { clock });
    const [first, second] = [await come(), await come()];
    await until('both are in', () => inside.length === 2);
    clock.advance(100);
    while (door.turn(peer(first)) === undefined);
    expect(door.turn(peer(second))).toBeInstanceOf(Promise);
  });
});
