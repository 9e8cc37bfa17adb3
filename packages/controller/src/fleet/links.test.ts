import { describe, expect, it } from '@jest/globals';
import { createFakeLink } from '../parts.contract.js';
import { createFeed } from './feed.js';
import { createLinks } from './links.js';

describe('one stream per VM (I11)', () => {
  it('a newer stream replaces the older, which is ended with the reason', () => {
    const links = createLinks();
    const [older, newer] = [
      createFakeLink('vm-1', 'b', 'session-1'),
      createFakeLink('vm-1', 'b', 'session-2'),
    ];
    links.open(older);
    links.open(newer);
    expect(links.get('vm-1')).toBe(newer);
    expect(older.closedWith).toEqual([
      { kind: 'replaced', message: 'replaced by a newer stream of VM vm-1 (session-2)' },
    ]);
    expect(newer.closedWith).toEqual([]);
  });

  it('the end of the older does not take the newer out', () => {
    const links = createLinks();
    const [older, newer] = [createFakeLink('vm-1', 'b'), createFakeLink('vm-1', 'b')];
    links.open(older);
    links.open(newer);
    expect(links.close(older)).toBe(false);
    expect(links.get('vm-1')).toBe(newer);
    expect(links.close(newer)).toBe(true);
    expect(links.close(newer)).toBe(false);
    expect(links.get('vm-1')).toBeUndefined();
  });

  it('streams of other VMs are left alone; all are counted, and ended together at a stop', () => {
    const links = createLinks();
    const all = ['a', 'b', 'a'].map((vmId) => createFakeLink(vmId, 'b'));
    for (const link of all) links.open(link);
    expect([links.count, links.totalCount]).toEqual([2, 3]);
    links.closeAll({ kind: 'stopping', message: 'bye' });
    expect(all.map((link) => link.closedWith.map((reason) => reason.kind))).toEqual([
      ['replaced'],
      ['stopping'],
      ['stopping'],
    ]);
  });
});

describe('the feed', () => {
  it('tells every listener of every change in order, until it has ended its subscription', () => {
    const feed = createFeed();
    const heard: string[] = [];
    const end = feed.subscribe((change) => heard.push(`a ${change.kind}`));
    feed.subscribe((change) => heard.push(`b ${change.kind}`));
    feed.publish({ kind: 'link', vmId: 'vm-1', connected: true });
    end();
    feed.publish({ kind: 'link', vmId: 'vm-1', connected: false });
    expect(heard).toEqual(['a link', 'b link', 'b link']);
  });
});
