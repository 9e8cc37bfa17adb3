import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EVERY_POOL, ROLES, highestRole, isAtLeast, mayGive, roleIn } from './roles.js';

const role = fc.constantFrom(...ROLES);

describe('roles', () => {
  it('an admin may what an operator may, an operator what a viewer may, and nobody the other way round', () => {
    expect(ROLES.map((has) => ROLES.map((needs) => isAtLeast(has, needs)))).toEqual([
      [true, false, false],
      [true, true, false],
      [true, true, true],
    ]);
    expect(ROLES.some((needs) => isAtLeast(undefined, needs))).toBe(false);
  });

  it('a role in one pool is none in another, and one everywhere is one in every pool', () => {
    expect(roleIn({ linux: 'operator' }, 'linux')).toBe('operator');
    expect(roleIn({ linux: 'operator' }, 'windows')).toBeUndefined();
    expect(roleIn({ [EVERY_POOL]: 'viewer', linux: 'operator' }, 'windows')).toBe('viewer');
  });

  it('of two roles in a pool the higher counts, whichever is given everywhere', () => {
    fc.assert(
      fc.property(role, role, (everywhere, here) => {
        const has = roleIn({ [EVERY_POOL]: everywhere, linux: here }, 'linux');
        expect(ROLES.indexOf(has ?? 'viewer')).toBe(Math.max(ROLES.indexOf(everywhere), ROLES.indexOf(here)));
        expect(highestRole({ [EVERY_POOL]: everywhere, linux: here })).toBe(has);
      }),
    );
  });

  it('a pool that is named as a property of every object has no role by that', () => {
    expect(roleIn({}, 'constructor')).toBeUndefined();
    expect(roleIn({}, 'toString')).toBeUndefined();
  });

  it('an admin of one pool hands out roles there, and nowhere else', () => {
    expect(mayGive({ linux: 'admin' }, ['linux'])).toBe(true);
    expect(mayGive({ linux: 'admin' }, ['linux', 'windows'])).toBe(false);
    expect(mayGive({ linux: 'admin' }, [EVERY_POOL])).toBe(false);
    expect(mayGive({ [EVERY_POOL]: 'operator' }, ['linux'])).toBe(false);
  });
});
