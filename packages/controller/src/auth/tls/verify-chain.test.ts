/** Whether a certificate is still of an authority that is trusted, as OpenSSL would say it of a new connection. */
import { describe, expect, it } from '@jest/globals';
import { BAD, INTERMEDIATE, LEAF, OTHER, ROOT, SHORT, TWIN } from './chains.contract.js';
import { verifyChain } from './verify-chain.js';

const NOW = Date.UTC(2028, 0, 1);

describe('a certificate', () => {
  it('of an authority that is trusted counts, straight or by one between that the peer or the file has', () => {
    expect(verifyChain(SHORT, [], [ROOT], NOW)).toMatchObject({
      untilMs: Date.parse('2030-03-05T16:00:57Z'),
    });
    expect(verifyChain(LEAF, [INTERMEDIATE], [ROOT], NOW)).toBeDefined();
    expect(verifyChain(LEAF, [INTERMEDIATE, ROOT], [OTHER, ROOT], NOW)).toBeDefined();
    expect(verifyChain(LEAF, [], [INTERMEDIATE, ROOT], NOW)).toBeDefined();
  });

  it('of one of two authorities of the same name counts, whichever comes first', () => {
    expect(verifyChain(SHORT, [], [TWIN, ROOT], NOW)).toBeDefined();
    expect(verifyChain(SHORT, [], [ROOT, TWIN], NOW)).toBeDefined();
  });

  it.each([
    ['of an authority that is not trusted', SHORT, [], [OTHER]],
    ['of one of the same name with another key', SHORT, [], [TWIN]],
    ['whose authority the peer alone names', LEAF, [INTERMEDIATE, ROOT], [OTHER]],
    ['without the one between', LEAF, [], [ROOT]],
    ['of one between, where nobody that signed itself is trusted', LEAF, [INTERMEDIATE], [INTERMEDIATE]],
    ['signed by one that may sign nobody', BAD, [LEAF, INTERMEDIATE], [ROOT]],
    ['that signed itself, and is no authority here', OTHER, [OTHER], [ROOT]],
    ['where nobody is trusted', SHORT, [ROOT], []],
  ])('%s does not count', (_what, certificate, shown, authorities) => {
    expect(verifyChain(certificate, shown, authorities, NOW)).toBeUndefined();
  });

  it('counts while it is valid, and so is everyone up to the authority', () => {
    const endsAt = Date.parse('2030-03-05T16:00:57Z');
    expect(verifyChain(SHORT, [], [ROOT], endsAt - 1)).toBeDefined();
    expect(verifyChain(SHORT, [], [ROOT], endsAt)).toBeUndefined();
    expect(verifyChain(SHORT, [], [ROOT], Date.UTC(2026, 0, 1))).toBeUndefined();
    expect(verifyChain(LEAF, [INTERMEDIATE], [ROOT], Date.UTC(2127, 0, 1))).toBeUndefined();
  });
});
