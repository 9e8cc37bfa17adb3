import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '@mig/testkit/github/seeded-random';
import { createOwnership } from './ownership.js';

const ownership = createOwnership('mig', 'k3x9f2');
const VM = { vmId: 'runner-vm-7', bootId: '0F3C9A1E-4567-4000-8000-000000000000' };
const NAME = 'mig-k3x9f2-runner-vm-7-0f3c9a1e';

describe("a runner's name", () => {
  it('says the controller, the VM, the boot and the try', () => {
    expect(ownership.runnerName(VM)).toBe(NAME);
    expect(ownership.runnerName(VM, 2)).toBe(`${NAME}-2`);
    expect(ownership.runnerName({ ...VM, bootId: '' })).toBe('mig-k3x9f2-runner-vm-7-00000000');
    expect(ownership.runnerName({ ...VM, bootId: 'b-1' })).toBe('mig-k3x9f2-runner-vm-7-b1000000');
  });

  it('has at most 64 characters, also with the longest of everything, and is still of one VM alone', () => {
    const long = createOwnership('abcdefghij', '12345678');
    const names = ['a', 'b'].map((end) => long.runnerName({ ...VM, vmId: 'v'.repeat(62) + end }, 99));
    for (const name of names) {
      expect(name.length).toBeLessThanOrEqual(64);
      expect(long.isOurs(name)).toBe(true);
    }
    expect(names[0]).not.toBe(names[1]);
    expect(long.isOf({ vmId: `${'v'.repeat(62)}a` }, names[0] ?? '')).toBe(true);
    expect(long.isOf({ vmId: `${'v'.repeat(62)}b` }, names[0] ?? '')).toBe(false);
  });
});

describe('whose a runner is', () => {
  it.each([NAME, `${NAME}-2`, `${NAME}-99`])('%s is of the VM in this boot', (name) => {
    expect(ownership.isOurs(name)).toBe(true);
    expect(ownership.isOf(VM, name)).toBe(true);
    expect(ownership.isOfBoot(VM, name)).toBe(true);
    expect(ownership.stemOf(name)).toBe(ownership.stemFor(VM.vmId));
  });

  it('one of another boot is of the VM, and not of this boot', () => {
    const earlier = ownership.runnerName({ ...VM, bootId: 'ffffffff' });
    expect(ownership.isOf(VM, earlier)).toBe(true);
    expect(ownership.isOfBoot(VM, earlier)).toBe(false);
  });

  it.each([
    'production',
    'mig',
    'mig-k3x9f2-',
    'mig-k3x9f2-0f3c9a1e',
    'mig-k3x9f2-runner-vm-7',
    'mig-other1-runner-vm-7-0f3c9a1e',
    'xmig-k3x9f2-runner-vm-7-0f3c9a1e',
    'mig-k3x9f2-runner-vm-7-0f3c9a1',
    'mig-k3x9f2-runner-vm-7-0f3c9a1e-0',
    'mig-k3x9f2-runner-vm-7-0f3c9a1e-100',
    'runner-vm-7-0f3c9a1e',
    '',
  ])('%j is not ours', (name) => {
    expect(ownership.isOurs(name)).toBe(false);
    expect(ownership.isOf(VM, name)).toBe(false);
    expect(ownership.isOfBoot(VM, name)).toBe(false);
    expect(ownership.stemOf(name)).toBeUndefined();
  });

  it('is never two VMs, whatever they are called: VMs called like the names of others, 2,000 at random', () => {
    const random = seededRandom(7);
    const pick = (from: string) => from.charAt(Math.floor(random() * from.length));
    const ids = new Set([
      'vm',
      'vm-1',
      'vm-1-2',
      'vm-1-0f3c9a1e',
      'vm-1-0f3c9a1e-2',
      '0f3c9a1e',
      'a.b',
      'A.b',
    ]);
    while (ids.size < 2_000) {
      const length = 1 + Math.floor(random() * 62);
      ids.add(`v${Array.from({ length }, () => pick('ab-.12')).join('')}`.slice(0, 63));
    }
    const owners = new Map<string, string>();
    for (const vmId of ids) {
      for (const [bootId, attempt] of [
        [VM.bootId, 1],
        [VM.bootId, 2],
        ['', 9],
      ] as const) {
        const name = ownership.runnerName({ vmId, bootId }, attempt);
        expect(ownership.stemOf(name)).toBe(ownership.stemFor(vmId));
        expect(owners.get(name) ?? vmId).toBe(vmId);
        owners.set(name, vmId);
      }
    }
    expect(new Set([...ids].map((vmId) => ownership.stemFor(vmId))).size).toBe(ids.size);
  });
});
