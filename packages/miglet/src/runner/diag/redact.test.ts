/** Secrets in every dress that they wear in a log, and text that is none. */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { redact } from './redact.js';

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const word = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...ALPHANUMERIC), minLength: length, maxLength: length });
const base64url = (bytes: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((value) => Buffer.from(value).toString('base64url'));

/** Secrets that nobody told us of: known by how they look. */
const bare = fc.oneof(
  fc.tuple(fc.constantFrom('ghs_', 'ghp_', 'gho_', 'ghu_', 'ghr_'), word(36)).map((parts) => parts.join('')),
  fc.tuple(word(22), word(59)).map(([a, b]) => `github_pat_${a}_${b}`),
  fc
    .tuple(base64url(40), base64url(64))
    .map(([claims, signature]) => `eyJhbGciOiJSUzI1NiJ9.${claims}.${signature}`),
  fc.uint8Array({ minLength: 90, maxLength: 3_000 }).map((bytes) => Buffer.from(bytes).toString('base64')),
);
/** What names it as a secret. */
const named = fc
  .tuple(
    word(20),
    fc.constantFrom<(secret: string) => string>(
      (secret) => `Authorization: Bearer ${secret}`,
      (secret) => `authorization: token ${secret}`,
      (secret) => `Authorization: Basic ${secret}`,
      (secret) => `https://x/y?token=${secret}&z=1`,
      (secret) => `https://x.blob/y?se=2026&sig=${secret}`,
      (secret) => `{"token":"${secret}","expires_at":"2026"}`,
      (secret) => `{ "AccessToken" : "${secret}" }`,
      (secret) => String.raw`{"body":"{\"token\":\"${secret}\"}"}`,
      (secret) => `--token '${secret}' --unattended`,
      (secret) => `ACTIONS_RUNNER_INPUT_TOKEN=${secret}`,
      (secret) => `ACTIONS_RUNNER_INPUT_JITCONFIG=${secret}`,
      (secret) => `client_secret: ${secret}`,
      (secret) => `password="${secret}"`,
      (secret) => `https://user:${secret}@proxy.example:3128`,
    ),
  )
  .map(([secret, dress]) => ({ secret, text: dress(secret) }));

const noise = fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replaceAll('"', ''));

/** No piece of it that anybody could use. */
function expectGone(clean: string, secret: string): void {
  for (let from = 0; from + 16 <= secret.length; from += 4)
    expect(clean).not.toContain(secret.slice(from, from + 16));
}

describe('redaction', () => {
  it('leaves no secret that looks like one, wherever it stands', () => {
    fc.assert(
      fc.property(noise, bare, noise, (before, secret, after) => {
        expectGone(redact(`${before} ${secret} ${after}\nnext\n`, []), secret);
      }),
      { seed: 1, numRuns: 400 },
    );
  });

  it('leaves nothing of a JIT config, wherever it is cut', () => {
    const jit = Buffer.from(JSON.stringify({ '.runner': btoa('{"AgentId":1}'), '.credentials': btoa('{}') }));
    fc.assert(
      fc.property(
        noise,
        fc.integer({ min: 11, max: 90 }),
        fc.constantFrom(' ', '"', '\\n', '='),
        (before, length, mark) => {
          const cut = jit.toString('base64').slice(0, length);
          expect(redact(`${before}${mark}${cut}`, [])).not.toContain(cut.slice(0, 11));
        },
      ),
      { seed: 6, numRuns: 200 },
    );
  });

  it('leaves no secret that is called one', () => {
    fc.assert(
      fc.property(noise, named, noise, (before, { secret, text }, after) => {
        expectGone(redact(`${before}\n${text} ${after}\n`, []), secret);
      }),
      { seed: 2, numRuns: 600 },
    );
  });

  it('leaves no secret that is known, as it is or in another dress', () => {
    fc.assert(
      fc.property(
        noise,
        fc.string({ minLength: 8, maxLength: 60, unit: 'grapheme-ascii' }),
        noise,
        (before, secret, after) => {
          for (const dressed of [
            secret,
            encodeURIComponent(secret),
            Buffer.from(secret).toString('base64'),
            JSON.stringify(secret).slice(1, -1),
          ])
            expect(redact(`${before}${dressed}${after}`, [secret])).not.toContain(dressed);
        },
      ),
      { seed: 3, numRuns: 400 },
    );
  });

  it('leaves nothing of a private key, whole, cut at its beginning, or cut at its end', () => {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
      publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
    });
    const lines = privateKey.trim().split('\n');
    const secrets = lines.slice(1, -1).filter((line) => line.length > 40);
    for (const text of [
      `before\n${privateKey}after\n`,
      `before\n${lines.slice(0, 12).join('\n')}`,
      `${lines.slice(12).join('\n')}\nafter\n`,
      lines.slice(5, 9).join('\n'),
      JSON.stringify({ key: privateKey }),
    ]) {
      const clean = redact(text, []);
      for (const secret of secrets) expect(clean).not.toContain(secret.slice(8, 40));
    }
  });

  it('leaves what is no secret as it is', () => {
    const lines = [
      '[2026-07-01 09:30:00Z INFO Runner] Listening for Jobs',
      "[2026-07-01 09:30:00Z INFO BrokerMessageListener] Acknowledging runner request 'a-b-1'.",
      `commit ${createHash('sha1').update('x').digest('hex')} of refs/heads/main`,
      '   at GitHub.Runner.Listener.MessageListener.CreateSessionAsync(CancellationToken token)',
      'https://github.com/actions/runner/releases/download/v2.336.0/actions-runner-linux-x64-2.336.0.tar.gz',
      `sha256 ${createHash('sha256').update('x').digest('hex')}`,
      'Worker finished for job 42. Code: 100',
      'X509v3 SubjectKeyIdentifier keyInformation KeyJobIdentifier',
    ].join('\n');
    expect(redact(lines, [])).toBe(lines);
  });

  it('is not slow for a long text without an end', () => {
    const hostile = [
      'token='.repeat(20_000),
      '"token":"'.repeat(10_000),
      'A'.repeat(200_000),
      '-----BEGIN RSA PRIVATE KEY-----'.repeat(5_000),
      'eyJ.'.repeat(50_000),
      'a.'.repeat(100_000),
      'a://'.repeat(50_000),
      `${'a:'.repeat(50_000)}//`,
      'token=\\'.repeat(20_000),
      `${' '.repeat(100_000)}x`,
      'token '.repeat(30_000),
      randomBytes(150_000).toString('latin1'),
    ];
    const startedMs = performance.now();
    for (const text of hostile) redact(text, ['12345678']);
    // Texts of 200,000 characters: milliseconds each, unless a pattern goes over the rest of it at every place.
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});
