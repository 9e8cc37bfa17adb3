/** What every gRPC tool asks of a server: health and reflection. Bytes are written by hand, as a stranger would. */
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startTestController, type TestController } from '../test-controller.contract.js';

const asIs = (bytes: Buffer) => bytes;
const SERVICE = 'miglet.commands.CommandService';

let test: TestController;
let client: Client;
beforeAll(async () => {
  test = await startTestController();
  client = new Client(`127.0.0.1:${test.controller.grpcPort}`, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await test.dispose();
});

const check = (service: string) =>
  new Promise<Buffer | undefined>((resolve, reject) => {
    const request = Buffer.from([0x0a, service.length, ...Buffer.from(service)]);
    client.makeUnaryRequest('/grpc.health.v1.Health/Check', asIs, asIs, request, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });

describe('the gRPC server', () => {
  it.each(['', SERVICE])('says that it serves (health of %j)', async (service) => {
    expect(await check(service)).toEqual(Buffer.from([0x08, 0x01]));
  });

  it('does not know the health of another service (NOT_FOUND)', async () => {
    await expect(check('other')).rejects.toMatchObject({ code: 5 });
  });

  it('describes itself (reflection)', async () => {
    const ask = (request: number[]) =>
      new Promise<string>((resolve, reject) => {
        const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
        const call = client.makeBidiStreamRequest<Buffer, Buffer>(path, asIs, asIs);
        call.on('data', (bytes: Buffer) => {
          call.end();
          resolve(bytes.toString('latin1'));
        });
        call.on('error', reject);
        call.write(Buffer.from(request));
      });
    expect(await ask([0x3a, 0x00])).toContain(SERVICE);
    expect(await ask([0x22, SERVICE.length, ...Buffer.from(SERVICE)])).toContain('ConnectRequest');
  });

  it('does not have a method that it does not have (UNIMPLEMENTED)', async () => {
    const called = new Promise((_, reject) =>
      client.makeUnaryRequest(`/${SERVICE}/Other`, asIs, asIs, Buffer.alloc(0), (error) =>
        reject(error ?? new Error('answered')),
      ),
    );
    await expect(called).rejects.toMatchObject({ code: 12 });
  });
});
