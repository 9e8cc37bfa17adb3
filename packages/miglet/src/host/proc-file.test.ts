import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readProcFile } from './proc-file.js';

describe('a file of /proc', () => {
  it.each([0, 1, 4_095, 4_096, 4_097, 20_000])('of %d bytes is read whole', (length) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'mig-proc-'));
    const file = path.join(folder, 'children');
    const text = Array.from({ length }, (_, index) => String.fromCharCode(33 + (index % 200))).join('');
    writeFileSync(file, text, 'latin1');
    expect(readProcFile(file)).toBe(text);
    rmSync(folder, { recursive: true });
  });

  it('that has no size is read, and one that is not there is an error of the system', () => {
    const file = process.platform === 'linux' ? '/proc/version' : '/etc/hosts';
    expect(readProcFile(file)).toBe(readFileSync(file, 'latin1'));
    expect(() => readProcFile('/proc/none')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });
});
