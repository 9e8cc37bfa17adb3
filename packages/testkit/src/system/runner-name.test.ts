import { describe, expect, it } from '@jest/globals';
import { isOfBoot, parseRunnerName, vmOfRunner } from './runner-name.js';

describe('the name of a runner', () => {
  it('says of which VM and boot it is, also if it is the second of a boot', () => {
    expect(parseRunnerName('mig-27h7qw-vm-3-e9ea8153')).toEqual({ vmId: 'vm-3', boot: 'e9ea8153' });
    expect(parseRunnerName('mig-27h7qw-vm-3-e9ea8153-2')).toEqual({ vmId: 'vm-3', boot: 'e9ea8153' });
    expect(vmOfRunner('vm-3')).toBeUndefined();
  });

  it('begins with the boot as the MIGlet tells it', () => {
    expect(isOfBoot({ vmId: 'vm-3', boot: 'e9ea8153' }, 'e9ea8153-4c8f-4d71-8d71-1097d2cd29d6')).toBe(true);
    expect(isOfBoot({ vmId: 'vm-3', boot: 'e9ea8153' }, '')).toBe(false);
  });
});
