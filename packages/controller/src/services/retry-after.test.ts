/** Who meets a limit on the stream hears when to try again, as over HTTP. */
import { Metadata } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { startSecureController, type SecureController } from '../auth/test-auth.contract.js';
import { connectRequest } from '../parts.contract.js';
import { vmReport } from '../store/samples.contract.js';
import { openStream, type TestMiglet } from '../test-miglet.contract.js';

const RESOURCE_EXHAUSTED = 8;
let test: SecureController;
afterEach(() => test.dispose());
const start = async (limits: object): Promise<void> => {
  test = await startSecureController({
    config: { limits: { body_bytes: 1_048_576, open_commands_per_vm: 1_000, ...limits } },
  });
};

function connect(vmId: string, token: string): TestMiglet {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const miglet = openStream(test.controller.grpcPort, metadata);
  miglet.send({ kind: 'connect', request: connectRequest({ vmId, poolId: 'linux', bootId: 'boot-1' }) });
  return miglet;
}
const secondsOf = async (miglet: TestMiglet): Promise<number> =>
  Number((await miglet.trailer).get('retry-after')[0]);

describe('a stream that ends by a limit', () => {
  it('of its messages says when there is room again', async () => {
    await start({ vm_messages_per_second: 1, vm_message_burst: 10 });
    const miglet = connect('vm-1', await test.joinVm('vm-1'));
    await miglet.next('connectAck');
    const about = { vmId: 'vm-1', poolId: 'linux', orgId: '', bootId: 'boot-1', at: 0, intervalMs: 0 };
    const heartbeat = { ...about, report: vmReport({ state: 'ready.idle' }) };
    for (let count = 0; count < 100; count += 1) miglet.send({ kind: 'heartbeat', heartbeat });
    expect(await miglet.ended).toMatchObject({ code: RESOURCE_EXHAUSTED });
    expect(await secondsOf(miglet)).toBe(1);
    miglet.close();
  });

  it('of its connects says when it may come again', async () => {
    await start({ vm_connects_per_minute: 1 });
    const token = await test.joinVm('vm-1');
    let refused: TestMiglet | undefined;
    for (let count = 0; count < 40 && refused === undefined; count += 1) {
      const miglet = connect('vm-1', token);
      let ended = false;
      void miglet.ended.then(() => (ended = true));
      await until('it is accepted or refused', () => miglet.received.length > 0 || ended);
      if (ended) refused = miglet;
      else miglet.close();
    }
    expect(await refused?.ended).toMatchObject({ code: RESOURCE_EXHAUSTED });
    expect(await secondsOf(refused as TestMiglet)).toBeGreaterThan(1);
    refused?.close();
  });

  it('of its pool says to come again soon', async () => {
    await start({ vms_per_pool: 1 });
    await test.joinVm('vm-1');
    const miglet = connect('vm-2', await test.joinToken('linux'));
    expect(await miglet.ended).toMatchObject({ code: RESOURCE_EXHAUSTED });
    expect(await secondsOf(miglet)).toBe(5);
    miglet.close();
  });
});
