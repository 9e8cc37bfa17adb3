/** Who comes through the door of a server, and when. */
import { once } from 'node:events';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '@mig/common/clock';
import { until } from '@mig/testkit/github/until';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { createCredit } from './credit.js';
import { createDoor, peerOf, type Door, type DoorOptions } from './door.js';
import { findServer } from './find-server.js';

let server: Server;
let door: Door;
let inside: Socket[];
let clients: Socket[];

async function open(options: Partial<DoorOptions> = {}): Promise<void> {
  door = createDoor(
    { clock: systemClock, random: () => 0 },
    { perSecond: 20, chargeCalls: true, maxStrangers: 100, maxWaiting: 100, ...options },
  );
  server = net.createServer((socket) => {
    inside.push(socket);
    socket.on('error', () => undefined);
    socket.resume();
  });
  door.guard(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}
const port = (): number => (server.address() as AddressInfo).port;

function come(says = 'hello'): Socket {
  const client = net.connect({ port: port(), host: '127.0.0.1' });
  client.on('error', () => undefined);
  clients.push(client);
  if (says !== '') client.write(says);
  return client;
}
const comeAll = async (count: number, says?: string): Promise<void> => {
  const all = Array.from({ length: count }, () => come(says));
  await Promise.all(all.map((client) => once(client, 'connect')));
};
/** The server has taken note of all that came. */
const settled = (count: number) =>
  until('all that came are inside or wait', () => inside.length + door.counts().connections_delayed >= count);

beforeEach(() => {
  inside = [];
  clients = [];
});
afterEach(async () => {
  for (const socket of [...clients, ...inside]) socket.destroy();
  server.close();
  await once(server, 'close');
});

describe('connections that nobody shows themselves on', () => {
  it('are let in as long as there is credit; then they wait, and enter as it comes back', async () => {
    await open();
    await comeAll(30);
    await settled(30);
    expect(door.counts().connections_delayed).toBeGreaterThanOrEqual(20);
    await until('all are inside', () => inside.length === 30);
  });

  it('of which somebody is let in take nothing: any number of VMs may share an address', async () => {
    await open({ perSecond: 2 });
    for (let count = 1; count <= 40; count += 1) {
      come();
      const guest = await until('it is inside', () => inside[count - 1]);
      door.vouch(peerOf(guest), `vm-${count}`);
    }
  });

  it('enter only when they have said something', async () => {
    await open({ perSecond: 10 });
    await comeAll(20, '');
    await settled(20);
    const silent = inside.length;
    expect(silent).toBeLessThan(20);
    const client = come('hello');
    await until('the one that speaks is inside', () =>
      inside.some(({ remotePort }) => remotePort === client.localPort),
    );
  });

  it('more than may wait are closed, one by one, by chance', async () => {
    await open({ perSecond: 1, maxWaiting: 5 });
    await comeAll(20);
    await until('those beyond are closed', () => door.counts().connections_refused >= 10);
    expect(clients.filter((client) => !client.destroyed).length).toBeLessThanOrEqual(10);
  });

  it('more than may be inside wait', async () => {
    await open({ perSecond: 1_000, maxStrangers: 3 });
    await comeAll(10);
    await settled(10);
    expect(inside).toHaveLength(3);
    inside[0]?.destroy();
    await until('the next has its place', () => inside.length === 4);
  });
});

describe('calls without a credential', () => {
  it('cost an address what it has, and then a time to wait; what was taken comes back when somebody is let in', async () => {
    await open({ perSecond: 1 });
    come();
    const peer = peerOf(await until('it is inside', () => inside[0]));
    expect([door.charge(peer), door.charge(peer), door.charge(peer)]).toEqual([0, 0, 0]);
    expect(door.charge(peer)).toBeGreaterThan(0);
    expect(door.counts().strangers).toBe(1);
    door.vouch(peer, 'vm-1');
    expect(door.charge(peer, 3)).toBe(0);
  });

  it('cost nothing where nobody is asked for one', async () => {
    await open({ perSecond: 1, chargeCalls: false });
    come();
    const peer = peerOf(await until('it is inside', () => inside[0]));
    for (let count = 0; count < 100; count += 1) expect(door.charge(peer)).toBe(0);
  });
});

describe('a connection on which something was refused', () => {
  it('is closed, and at once when it happens again', async () => {
    await open();
    come();
    const guest = await until('it is inside', () => inside[0]);
    door.refuse(peerOf(guest));
    expect(guest.destroyed).toBe(false);
    await until('it is closed', () => guest.destroyed);
    come();
    const again = await until('it is inside', () => inside[1]);
    door.refuse(peerOf(again));
    door.refuse(peerOf(again));
    expect(again.destroyed).toBe(true);
    expect(door.counts().cut).toBe(2);
  });

  it('stays, if it carries several VMs: one does not answer for the other', async () => {
    await open();
    come();
    const guest = await until('it is inside', () => inside[0]);
    door.vouch(peerOf(guest), 'vm-1');
    door.vouch(peerOf(guest), 'vm-2');
    door.refuse(peerOf(guest));
    door.refuse(peerOf(guest));
    expect(guest.destroyed).toBe(false);
  });

  it('that did harm costs its address what many others would have', async () => {
    await open();
    come();
    const guest = await until('it is inside', () => inside[0]);
    door.punish(peerOf(guest));
    expect(guest.destroyed).toBe(true);
    const before = inside.length;
    await comeAll(3);
    await settled(before + 3);
    expect(inside).toHaveLength(before);
  });
});

describe('the credit of an address', () => {
  it('is one for a whole /64 of IPv6, and for an IPv4 address in either form', () => {
    const credit = createCredit(createManualClock(), { perSecond: 1, burst: 2 });
    expect(credit.take('2001:db8:1:2::1', 2)).toBe(true);
    expect(credit.take('2001:db8:1:2:aaaa:bbbb:cccc:dddd')).toBe(false);
    expect(credit.take('2001:db8:1:3::1')).toBe(true);
    expect(credit.take('::ffff:10.0.0.7', 2)).toBe(true);
    expect(credit.take('10.0.0.7')).toBe(false);
    expect(credit.take('10.0.0.8')).toBe(true);
  });

  it('comes back with time, is never more than full, and says how long it takes', () => {
    const clock = createManualClock();
    const credit = createCredit(clock, { perSecond: 2, burst: 4 });
    expect(credit.take('a', 4)).toBe(true);
    expect(credit.waitMs('a')).toBe(500);
    clock.advance(500);
    expect(credit.waitMs('a')).toBe(0);
    credit.fine('a', 100);
    expect(credit.waitMs('a')).toBe(2_500);
    clock.advance(3_600_000);
    expect(credit.take('a', 5)).toBe(false);
    expect(credit.take('a', 4)).toBe(true);
  });
});

describe('the server behind a port', () => {
  it('is found by a connection from here', async () => {
    await open();
    expect(await findServer('127.0.0.1', port())).toBe(server);
  });
});
