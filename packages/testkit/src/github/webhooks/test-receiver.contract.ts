/** A receiver of webhooks for tests: keeps what it gets, and answers as it is told. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedWebhook {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly payload: WorkflowJobEvent;
}

/** As much of it as tests look at. */
export interface WorkflowJobEvent {
  readonly action: string;
  readonly workflow_job: Readonly<Record<string, unknown>> & { readonly id: number; readonly status: string };
  readonly installation?: { readonly id: number };
  readonly deployment?: { readonly environment: string };
  readonly repository: { readonly full_name: string };
}

export interface TestReceiver {
  readonly url: string;
  readonly received: ReceivedWebhook[];
  /** `nothing`: no answer at all. Default 202. */
  answerWith(status: number | 'nothing'): void;
  close(): Promise<void>;
}

export async function createTestReceiver(): Promise<TestReceiver> {
  const received: ReceivedWebhook[] = [];
  let status: number | 'nothing' = 202;
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      const json = body.startsWith('payload=') ? (new URLSearchParams(body).get('payload') ?? '') : body;
      received.push({ headers: incoming.headers, body, payload: JSON.parse(json) as WorkflowJobEvent });
      if (status !== 'nothing') outgoing.writeHead(status, { 'x-answered-by': 'test' }).end('noted');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks/github`,
    received,
    answerWith(wanted) {
      status = wanted;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
