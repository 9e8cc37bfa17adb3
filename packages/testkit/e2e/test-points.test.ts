/** The hooks by which a test kills a process at a named point are in the bundles made for it, and in no other. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { ROOT } from './system.js';

const bundle = (program: string, kind: '' | '.test-points'): string =>
  path.join(ROOT, 'packages', program, 'bundle', `${program}${kind}.mjs`);
/** What only the hooks hold: the variable of their plan, and names of points. */
const TRACES = ['MIG_TEST_POINTS', 'intake.taken', 'events.stored', 'store.logged', 'MIG_TEST_CLOCK'];

describe.each(['miglet', 'controller'])('the bundle of the %s', (program) => {
  test('for production holds no trace of test points', () => {
    const text = readFileSync(bundle(program, ''), 'utf8');
    expect(TRACES.filter((trace) => text.includes(trace))).toEqual([]);
  });

  test('for tests holds them', () => {
    const text = readFileSync(bundle(program, '.test-points'), 'utf8');
    expect(text).toContain('MIG_TEST_POINTS_PLAN');
    expect(text).toContain('events.stored');
  });
});
