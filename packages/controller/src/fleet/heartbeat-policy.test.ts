import { describe, expect, it } from '@jest/globals';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { createFakeLink, type FakeLink } from '../parts.contract.js';
import { createTestLog } from '../test-log.contract.js';
import { createHeartbeatPolicy } from './heartbeat-policy.js';
import { createLinks } from './links.js';

function createWorld(maxPerSecond: number) {
  const links = createLinks();
  const clock = createManualClock();
  const policy = createHeartbeatPolicy({ links, clock, logger: createTestLog().logger }, { maxPerSecond });
  const all: FakeLink[] = [];
  return {
    links,
    clock,
    policy,
    all,
    connect(count: number, bootId = 'boot-1') {
      for (let n = 0; n < count; n += 1) {
        const link = createFakeLink(`vm-${all.length}`, bootId);
        all.push(link);
        links.open(link);
        policy.onChange();
      }
    },
    disconnect(count: number) {
      for (const link of all.splice(0, count)) {
        links.close(link);
        policy.onChange();
      }
    },
    /** The last interval that each was told; undefined = nothing. */
    told: () =>
      all.map((link) => {
        const last = link.sent.at(-1);
        return last?.kind === 'heartbeatPolicy' ? last.intervalMs : undefined;
      }),
  };
}

describe('the interval that is asked', () => {
  it('grows with the fleet so that all heartbeats together stay within the rate, and is never less than 1 s', () => {
    const { connect, policy, disconnect } = createWorld(10);
    expect(policy.intervalMs()).toBe(1_000);
    connect(10);
    expect(policy.intervalMs()).toBe(1_000);
    connect(90);
    expect(policy.intervalMs()).toBe(10_000);
    connect(1);
    expect(policy.intervalMs()).toBe(10_100);
    disconnect(101);
    expect(policy.intervalMs()).toBe(1_000);
  });

  it('counts legacy MIGlets, which cannot be told', () => {
    const { connect, policy, told, clock } = createWorld(10);
    connect(100, '');
    clock.advance(10_000);
    expect(policy.intervalMs()).toBe(10_000);
    expect(told().filter((interval) => interval !== undefined)).toEqual([]);
  });

  it('is told to those that are connected when it changes by more than a fifth, and not before', () => {
    const { connect, told, clock, all } = createWorld(10);
    connect(12);
    clock.advance(60_000);
    expect(told()).toEqual(Array.from({ length: 12 }, () => undefined));
    connect(1);
    clock.advance(60_000);
    expect(told()).toEqual(Array.from({ length: 13 }, () => 1_300));
    expect(all[0]?.sent).toHaveLength(1);
  });

  it('is told to a large fleet in slices, each MIGlet the last word, whoever leaves meanwhile', () => {
    const { connect, told, clock, all, links, disconnect } = createWorld(1_000);
    connect(2_000);
    clock.advance(10_000);
    const sentBefore = all.reduce((sum, link) => sum + link.sent.length, 0);
    disconnect(900);
    let most = 0;
    let seen = all.reduce((sum, link) => sum + link.sent.length, 0);
    for (let n = 0; n < 20; n += 1) {
      clock.advance(100);
      const now = all.reduce((sum, link) => sum + link.sent.length, 0);
      most = Math.max(most, now - seen);
      seen = now;
      if (n === 2) disconnect(1);
    }
    expect(most).toBe(250);
    expect(sentBefore).toBeGreaterThan(0);
    const [last] = told();
    expect(last).toBeGreaterThanOrEqual(1_099 / 1.2);
    expect(last).toBeLessThanOrEqual(1_099 * 1.2 * 1.2);
    expect(new Set(told())).toEqual(new Set([last]));
    expect(links.count).toBe(1_099);
    expect(clock.timerCount).toBe(0);
  });

  it('is told to nobody any more after the end', () => {
    const { connect, told, clock, policy } = createWorld(1);
    connect(10);
    policy.stop();
    clock.advance(10_000);
    expect(told().filter((interval) => interval !== undefined)).toEqual([]);
    expect(clock.timerCount).toBe(0);
  });
});
