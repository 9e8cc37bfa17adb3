/**
 * What an address may ask before anybody there has shown who it is: a credit for each address, which every new connection and
 * every call without a valid credential takes from. Whoever is let in gets back what their connection took: so ten thousand
 * VMs behind one address take nothing from each other, however often they come back, and one that only makes noise runs dry.
 */
import { isIPv6 } from 'node:net';
import type { Clock } from '@mig/common/clock';

export interface CreditOptions {
  /** What comes back in a second. */
  readonly perSecond: number;
  /** What an address begins with, and has at most. */
  readonly burst: number;
}

export interface Credit {
  has(address: string): boolean;
  /** Takes so much, if there is as much. False: nothing was taken. */
  take(address: string, cost?: number): boolean;
  /** Takes so much, also if there is less: down to as much below nothing as a full credit is above it. */
  fine(address: string, cost: number): void;
  giveBack(address: string, cost: number): void;
  /** Milliseconds until there is one again; 0 = there is. */
  waitMs(address: string): number;
}

/** Addresses that are kept at a time (I12); the one that was asked longest ago is forgotten, and begins anew. */
const MAX_ADDRESSES = 50_000;

export function createCredit(clock: Clock, { perSecond, burst }: CreditOptions): Credit {
  const accounts = new Map<string, { left: number; atMs: number }>();

  function accountOf(address: string): { left: number; atMs: number } {
    const key = networkOf(address);
    const nowMs = clock.monotonicMs();
    const account = accounts.get(key) ?? { left: burst, atMs: nowMs };
    accounts.delete(key);
    accounts.set(key, account);
    if (accounts.size > MAX_ADDRESSES) {
      const [oldest] = accounts.keys();
      if (oldest !== undefined) accounts.delete(oldest);
    }
    account.left = Math.min(burst, account.left + ((nowMs - account.atMs) / 1_000) * perSecond);
    account.atMs = nowMs;
    return account;
  }

  return {
    has: (address) => accountOf(address).left >= 1,
    take(address, cost = 1) {
      const account = accountOf(address);
      if (account.left < cost) return false;
      account.left -= cost;
      return true;
    },
    giveBack(address, cost) {
      const account = accountOf(address);
      account.left = Math.min(burst, account.left + cost);
    },
    fine(address, cost) {
      const account = accountOf(address);
      account.left = Math.max(-burst, account.left - cost);
    },
    waitMs: (address) => Math.max(0, Math.ceil(((1 - accountOf(address).left) / perSecond) * 1_000)),
  };
}

/** One machine has a whole /64 of IPv6 to itself: its addresses are one. */
function networkOf(address: string): string {
  const bare = address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '').replace(/%.*$/, '');
  if (!isIPv6(bare)) return bare;
  const [head = '', tail] = bare.toLowerCase().split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length);
  return [...first, ...Array.from({ length: zeros }, () => '0'), ...last].slice(0, 4).join(':');
}
