/** What a MIGlet says of itself when it starts. */
import { describe, expect, test } from '@jest/globals';
import { migletConfigSchema } from './config.js';
import { exposuresOf } from './exposures.js';

const of = (controller: object, isSameUser = false): string[] =>
  exposuresOf(migletConfigSchema('vm').parse({ controller }), isSameUser);
const join = { token_file: '/run/join-token' };

describe('a MIGlet that joins', () => {
  test.each([
    ['http://mig.example:8080', 1],
    ['http://127.evil.example:8080', 1],
    ['http://10.0.0.1:8080', 1],
    ['https://mig.example:8080', 0],
    ['http://127.0.0.1:8080', 0],
    ['http://[::1]:8080', 0],
    ['http://localhost:8080', 0],
  ])('by what goes to %s: %i warnings', (endpoint, count) => {
    expect(of({ endpoint, join })).toHaveLength(count);
    expect(of({ endpoint, join: { method: 'mtls' } })).toHaveLength(count);
  });

  test('whose jobs are of its own user, says that they can read its session', () => {
    expect(of({ join }, true)).toEqual([expect.stringContaining('runner.user')]);
  });

  test('by nothing has nothing to lose', () => {
    expect(of({ endpoint: 'http://mig.example:8080' }, true)).toEqual([]);
  });
});
