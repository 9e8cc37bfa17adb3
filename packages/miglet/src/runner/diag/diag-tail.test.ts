/** The end of the runner's logs, from folders as a runner leaves them, and as an attacker would. */
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { dataSize, MAX_EVENT_DATA } from '@mig/common/domain/event';
import { withDiag } from './diag-events.js';
import { createDiagTail, type DiagTail } from './diag-tail.js';
import { createKnownSecrets } from './known-secrets.js';

let folder: string;
let directory: string;
let diag: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-diag-'));
  directory = path.join(folder, 'runner');
  diag = path.join(directory, '_diag');
  mkdirSync(diag, { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const tail = (maxBytes = 4_096, secrets: readonly string[] = []): DiagTail =>
  createDiagTail({ directory, maxBytes, secrets: () => secrets });
const log = (name: string, content: string, at = 1_000): string => {
  const file = path.join(diag, name);
  writeFileSync(file, content);
  utimesSync(file, at, at);
  return file;
};
const RUNNER = 'Runner_20260701-093000-utc.log';
const WORKER = 'Worker_20260701-093100-utc.log';

describe('the end of the logs', () => {
  it('is that of the newest of each kind', () => {
    log('Runner_20260630-000000-utc.log', 'old\n', 500);
    log(RUNNER, 'new\n');
    log(WORKER, 'worked\n');
    log('pages.txt', 'no log\n');
    expect(tail().read()).toEqual({
      files: `${RUNNER}, ${WORKER}`,
      runner_log: 'new\n',
      worker_log: 'worked\n',
    });
  });

  it('is told once, and again when there is more', () => {
    const file = log(RUNNER, 'one\n');
    const one = tail();
    expect(one.read()).toMatchObject({ runner_log: 'one\n' });
    expect(one.read()).toBeUndefined();
    appendFileSync(file, 'two\n');
    expect(one.read()).toMatchObject({ runner_log: 'one\ntwo\n' });
  });

  it('is nothing where there are no logs, no folder, or none are wanted', () => {
    expect(tail().read()).toBeUndefined();
    log(RUNNER, 'x\n');
    expect(tail(0).read()).toBeUndefined();
    rmSync(directory, { recursive: true });
    expect(tail().read()).toBeUndefined();
  });

  it('of any bytes at all is valid text, whole lines, and no longer than allowed', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.uint8Array({ maxLength: 300 }),
            fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
          ),
        ),
        fc.integer({ min: 1, max: 400 }),
        (lines, maxBytes) => {
          writeFileSync(
            path.join(diag, RUNNER),
            Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from('\n')])),
          );
          const text = tail(maxBytes).read()?.['runner_log'] ?? '';
          expect(Buffer.from(text).toString()).toBe(text);
          expect(Buffer.byteLength(text)).toBeLessThanOrEqual(maxBytes);
          // eslint-disable-next-line no-control-regex -- what must not be there
          expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f]/);
        },
      ),
      { seed: 4, numRuns: 200 },
    );
  });

  it('of the largest logs that are allowed is an event that is not refused', () => {
    log(RUNNER, 'a line\n'.repeat(100_000));
    log(WORKER, 'a line\n'.repeat(100_000));
    const data = tail(131_072).read() ?? {};
    expect(dataSize(data)).toBeLessThanOrEqual(MAX_EVENT_DATA);
    expect(dataSize(data)).toBeGreaterThan(MAX_EVENT_DATA * 0.9);
  });

  it('holds nothing of a secret that begins before it', () => {
    const secret = 'AABF3JGZDX3P5PMEXLND6TS6FCWO6';
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 80 }), (padding, maxBytes) => {
        writeFileSync(path.join(diag, RUNNER), `${'x'.repeat(70_000)} ${secret}${'.'.repeat(padding)}`);
        const text = tail(maxBytes, [secret]).read()?.['runner_log'] ?? '';
        for (let from = 0; from + 6 <= secret.length; from += 1)
          expect(text).not.toContain(secret.slice(from, from + 6));
      }),
      { seed: 5, numRuns: 100 },
    );
  });
});

describe('a key that was being written when the runner died', () => {
  it('is known by its beginning, also if that is not in what is kept', () => {
    const lines = Array.from({ length: 20 }, (_, line) => String(line % 10).repeat(64));
    log(RUNNER, ['-----BEGIN RSA PRIVATE KEY-----', ...lines, 'c2hvcnQgZW5k'].join('\n'));
    expect(tail(40).read()?.['runner_log']).not.toContain('c2hvcnQ');
  });
});

describe('a job that wants the MIGlet to read for it', () => {
  const SECRET = 'what only root may read';
  const other = (): string => {
    const file = path.join(folder, 'shadow');
    writeFileSync(file, SECRET);
    return file;
  };

  it('by a link gets nothing', () => {
    symlinkSync(other(), path.join(diag, RUNNER));
    expect(tail().read()).toBeUndefined();
  });

  it('by another name of the file gets nothing', () => {
    linkSync(other(), path.join(diag, RUNNER));
    expect(tail().read()).toBeUndefined();
  });

  it('by a link in place of the folder gets nothing', () => {
    const elsewhere = path.join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    renameSync(other(), path.join(elsewhere, RUNNER));
    rmSync(diag, { recursive: true });
    symlinkSync(elsewhere, diag);
    expect(tail().read()).toBeUndefined();
  });

  it('by a pipe does not hold it', () => {
    execFileSync('mkfifo', [path.join(diag, RUNNER)]);
    expect(tail().read()).toBeUndefined();
  });
});

describe('secrets that are known', () => {
  const registration = (token: string, jitConfig = '') => ({
    commandId: 'c',
    runnerName: 'r',
    runnerUrl: 'u',
    runnerGroup: '',
    labels: [],
    token,
    jitConfig,
  });

  it('are the tokens, the JIT configs, and the credentials in these; the last eight registrations', () => {
    const secrets = createKnownSecrets(directory);
    const files = { '.runner': btoa('{}'), '.credentials': btoa('{"data":"S1"}') };
    const jitConfig = btoa(JSON.stringify(files));
    secrets.remember(registration('T0'));
    secrets.remember(registration('', jitConfig));
    expect(secrets.all()).toEqual(['T0', jitConfig, files['.credentials'], '{"data":"S1"}']);
    for (let count = 1; count <= 8; count += 1) secrets.remember(registration(`T${count}`));
    expect(secrets.all()).toEqual(['T1', 'T2', 'T3', 'T4', 'T5', 'T6', 'T7', 'T8']);
  });

  it('that are none, in a JIT config that is none, do no harm', () => {
    const secrets = createKnownSecrets(directory);
    for (const jitConfig of ['x', btoa('7'), btoa('[null]'), btoa('{"a":1}')])
      secrets.remember(registration('', jitConfig));
    expect(secrets.all()).toHaveLength(4);
  });
});

describe('secrets of a registration that is there', () => {
  const put = (name: string, content: unknown): void =>
    writeFileSync(path.join(directory, name), `\uFEFF${JSON.stringify(content)}`);
  const text = (secrets: { all(): readonly string[] }): string =>
    createDiagTail({ directory, maxBytes: 4_096, secrets: secrets.all }).read()?.['runner_log'] ?? '';
  const credentials = {
    scheme: 'OAuthLong',
    data: { clientId: 'cl13nt-id', authorizationUrl: 'https://x.y/z' },
  };
  const settings = { AgentName: 'vm-1-a-runner', GitHubUrl: 'https://x.y/acme', Other: 's3ttings' };
  const parameters = { d: 'rsa-d-secret', modulus: 'rsa-modulus', exponent: 'AQAB' };
  const SECRETS = ['cl13nt-id', 's3ttings', 'rsa-d-secret', 'rsa-modulus'];
  const PUBLIC = ['OAuthLong', 'https://x.y/z', 'vm-1-a-runner', 'https://x.y/acme', 'AQAB'];

  it('are known to a MIGlet that did not make it, also when the runner has deleted it', () => {
    put('.credentials', credentials);
    put('.credentials_rsaparams', parameters);
    put('.runner', settings);
    log(RUNNER, `${[...SECRETS, ...PUBLIC].join('\n')}\n`);
    const secrets = createKnownSecrets(directory);
    for (const name of ['.credentials', '.credentials_rsaparams', '.runner'])
      rmSync(path.join(directory, name));
    expect(text(secrets)).toBe(`${SECRETS.map(() => '[redacted]').join('\n')}\n${PUBLIC.join('\n')}\n`);
  });

  it('are known if they come later, and if they are replaced', () => {
    const secrets = createKnownSecrets(directory);
    put('.credentials', { secret: 'the-first' });
    expect(secrets.all()).toContain('the-first');
    put('.credentials', { secret: 'the-second' });
    expect(secrets.all()).toEqual(expect.arrayContaining(['the-first', 'the-second']));
  });

  it('are known by the JIT config, whose files they are in', () => {
    const files = { '.runner': settings, '.credentials': credentials, '.credentials_rsaparams': parameters };
    const encoded = Object.entries(files).map(([name, content]) => [name, btoa(JSON.stringify(content))]);
    const secrets = createKnownSecrets(directory);
    secrets.remember({
      commandId: 'c',
      runnerName: 'r',
      runnerUrl: 'u',
      runnerGroup: '',
      labels: [],
      token: '',
      jitConfig: btoa(JSON.stringify(Object.fromEntries(encoded))),
    });
    expect(secrets.all()).toEqual(expect.arrayContaining(SECRETS));
    for (const value of PUBLIC) expect(secrets.all()).not.toContain(value);
  });

  it('are each text of any JSON that is long enough, and no part of one is told', () => {
    const secret = fc.string({ unit: fc.constantFrom(...'abcdefgh01234567!?'), minLength: 8, maxLength: 30 });
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.oneof(secret, fc.array(secret))),
        (content) => {
          put('.credentials_rsaparams', content);
          const all = Object.values(content).flat();
          log(RUNNER, all.map((one) => `x ${one} x\n`).join(''));
          const told = text(createKnownSecrets(directory));
          for (const one of all) expect(told).not.toContain(one);
        },
      ),
      { seed: 7, numRuns: 60 },
    );
  });

  it('are not read through a link, from a pipe, or from a file that is too long', () => {
    writeFileSync(path.join(folder, 'other'), '{"secret":"of-another"}');
    symlinkSync(path.join(folder, 'other'), path.join(directory, '.credentials'));
    linkSync(path.join(folder, 'other'), path.join(directory, '.credentials_migrated'));
    execFileSync('mkfifo', [path.join(directory, '.runner')]);
    put('.credentials_rsaparams', { secret: 'x'.repeat(70_000) });
    expect(createKnownSecrets(directory).all()).toEqual([]);
  });
});

describe('the event runner_diag', () => {
  const tell = (read: () => Record<string, string> | undefined) => {
    const told: string[] = [];
    const emit = withDiag((type) => void told.push(type), read);
    return { told, emit };
  };
  const something = () => ({ files: 'x' });

  it.each([
    ['runner_crashed', {}],
    ['runner_hung', { hang: 'no_job_after_acknowledge' }],
    ['runner_exited', { exit_code: '1' }],
    ['runner_exited', { exit_code: '0', outcome: 'job_orphaned' }],
  ])('follows %s %j', (type, data) => {
    const { told, emit } = tell(something);
    emit(type, data);
    expect(told).toEqual([type, 'runner_diag']);
  });

  it("comes before the VM's last event", () => {
    const { told, emit } = tell(something);
    emit('vm_shutting_down', {});
    expect(told).toEqual(['runner_diag', 'vm_shutting_down']);
  });

  it.each([
    ['runner_exited', { exit_code: '0' }],
    ['runner_exited', { exit_code: '3' }],
    ['runner_exited', { exit_code: '100' }],
    ['job_completed', {}],
  ])('does not follow %s %j', (type, data) => {
    const { told, emit } = tell(something);
    emit(type, data);
    expect(told).toEqual([type]);
  });

  it('is not told if there is nothing new', () => {
    const { told, emit } = tell(() => undefined);
    emit('runner_crashed', {});
    emit('vm_shutting_down', {});
    expect(told).toEqual(['runner_crashed', 'vm_shutting_down']);
  });
});
