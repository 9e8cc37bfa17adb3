import { describe, expect, it } from '@jest/globals';
import { vmRecord } from '../store/samples.contract.js';
import { bootFor } from './boot-binding.js';

describe('which boot a command is for', () => {
  it.each(['drain', 'undrain', 'shutdown'])('a %s is for the boot that its submitter saw', (type) => {
    expect(bootFor(type, vmRecord())).toBe('boot-1');
  });

  it.each(['register_runner', 'update_config', 'set_log_level'])('a %s is for whichever comes', (type) => {
    expect(bootFor(type, vmRecord())).toBeUndefined();
  });

  it('a VM that has ended, or has no boot, binds nothing', () => {
    expect(bootFor('drain', vmRecord({ outcome: 'drained' }))).toBeUndefined();
    expect(bootFor('shutdown', vmRecord({ state: 'shutdown.flushing' }))).toBeUndefined();
    expect(bootFor('drain', vmRecord({ bootId: '' }))).toBeUndefined();
  });
});
