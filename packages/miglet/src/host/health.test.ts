import { describe, expect, it } from '@jest/globals';
import { diskOf } from './health.js';

const disk = (mount: string) => ({ mount, size: 100, used: 10 });
const DISKS = [disk('/'), disk('/var'), disk('/var/lib/runner'), disk('/var/lib/run'), disk('/boot')];

describe('disk', () => {
  it.each([
    ['/var/lib/runner', '/var/lib/runner'],
    ['/var/lib/runner/_work/a', '/var/lib/runner'],
    ['/var/lib/running', '/var'],
    ['/var', '/var'],
    ['/variable', '/'],
    ['/home/me', '/'],
    ['/', '/'],
  ])('%s is on the one that is mounted nearest above it, %s', (directory, mount) => {
    expect(diskOf(DISKS, directory)?.mount).toBe(mount);
    expect(diskOf([...DISKS].reverse(), directory)?.mount).toBe(mount);
  });

  it('a machine that shows no file systems, or none above the folder, has none', () => {
    expect(diskOf([], '/var')).toBeUndefined();
    expect(diskOf([disk('/boot')], '/var')).toBeUndefined();
  });
});
