/** Files of certificates as people and programs leave them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { parseCertificates } from './pem.js';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const PEM = readFileSync(path.join(ROOT, 'packages/testkit/data/tls/loopback-cert.pem'), 'utf8');

describe('a file of certificates', () => {
  it('is read whole, with what stands around them, and without the newlines that are missing between them', () => {
    expect(parseCertificates(PEM)).toHaveLength(1);
    const glued = PEM.trimEnd() + PEM.trimEnd();
    expect(
      parseCertificates(`# ours\n${glued}\nSubject: x\n${PEM}`).map(({ pem }) => pem.endsWith('\n')),
    ).toEqual([true, true, true]);
    expect(parseCertificates(PEM.replaceAll('\n', '\r\n'))).toHaveLength(1);
  });

  it('may hold a key too', () => {
    const key = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n';
    expect(parseCertificates(key + PEM)).toHaveLength(1);
  });

  it.each([
    ['nothing', '', /holds no certificate/],
    ['no certificate', 'garbage\n', /holds no certificate/],
    ['the beginning of one', PEM.slice(0, 200), /1 is cut off/],
    ['one, and the beginning of the next', PEM + PEM.slice(0, 200), /2 is cut off/],
    ['one, and the first line of the next in part', `${PEM}-----BEGIN CERTI`, /2 is cut off/],
    ['one without its last dashes', PEM.trimEnd().slice(0, -3), /cut off/],
    ['one that is damaged', PEM.replace(/\n[A-Za-z0-9+/]{20}/, '\n!!!!'), /1 of 1 cannot be read/],
  ])('that holds %s is refused with a reason', (_what, text, reason) => {
    expect(() => parseCertificates(text)).toThrow(reason);
  });
});
