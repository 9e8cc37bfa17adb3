import { describe, expect, it } from '@jest/globals';
import type { VmView } from '../../fleet/fleet.js';
import { vmRecord } from '../../store/samples.contract.js';
import { createPlaces, type PoolPlace } from './places.js';

const NOWHERE: PoolPlace = { labels: [], runner_group: '', repository: '', enterprise: '' };
const pools: Record<string, PoolPlace> = {
  shop: { ...NOWHERE, repository: 'acme/shop', labels: ['l'], runner_group: 'g' },
  corp: { ...NOWHERE, enterprise: 'corp' },
  plain: NOWHERE,
};
const create = (defaultOrg: string, vms: Partial<ReturnType<typeof vmRecord>>[] = []) =>
  createPlaces(
    { views: () => vms.map((fields) => ({ record: vmRecord(fields) }) as VmView) },
    {
      webUrl: 'https://ghe.example',
      defaultOrg,
      poolOf: (poolId) => pools[poolId],
      pools: Object.values(pools),
    },
  );

describe('where the runners of a VM are', () => {
  it.each([
    ['shop', 'acme', { kind: 'repo', owner: 'acme', repo: 'shop' }, 'https://ghe.example/acme/shop'],
    ['corp', 'acme', { kind: 'enterprise', slug: 'corp' }, 'https://ghe.example/enterprises/corp'],
    ['plain', 'other', { kind: 'org', org: 'other' }, 'https://ghe.example/other'],
    ['unknown', '', { kind: 'org', org: 'acme' }, 'https://ghe.example/acme'],
  ] as const)('of pool %s and organization %j is %j', (poolId, orgId, scope, url) => {
    const places = create('acme');
    expect(places.scopeOf({ poolId, orgId })).toEqual(scope);
    expect(places.urlOf(scope)).toBe(url);
  });

  it('is nowhere if nobody says it', () => {
    expect(create('').scopeOf({ poolId: 'plain', orgId: '' })).toBeUndefined();
  });

  it('are all those that configuration and VMs name, each once, whatever its case', () => {
    const vms = [{ orgId: 'ACME' }, { orgId: 'other' }, { orgId: '' }, { orgId: 'x', poolId: 'shop' }];
    expect(create('acme', vms).scopes()).toEqual([
      { kind: 'org', org: 'acme' },
      { kind: 'repo', owner: 'acme', repo: 'shop' },
      { kind: 'enterprise', slug: 'corp' },
      { kind: 'org', org: 'other' },
    ]);
  });
});
