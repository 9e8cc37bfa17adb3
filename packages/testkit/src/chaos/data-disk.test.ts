import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createDataDisk, type DataDisk } from './data-disk.js';

const root = mkdtempSync(path.join(os.tmpdir(), 'mig-disk-'));
let disk: DataDisk | undefined;

afterEach(async () => {
  await disk?.close();
  rmSync(root, { recursive: true, force: true });
});

/** Writes so many bytes as a program on the disk does. */
function write(to: DataDisk, name: string, bytes: number): { ok: boolean; stderr: string } {
  const script = `require('fs').writeFileSync(${JSON.stringify(path.join(to.directory, name))}, 'x'.repeat(${bytes}))`;
  const [program, ...args] = to.command(process.execPath, '-e', script);
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return { ok: status === 0, stderr };
}

describe('the disk of the data', () => {
  test('when it is filled nothing can be written, and when there is room again everything can', async () => {
    disk = await createDataDisk(path.join(root, 'data'));
    expect(write(disk, 'before', 10_000).ok).toBe(true);
    expect(readFileSync(path.join(disk.outside, 'before'))).toHaveLength(10_000);
    disk.fill();
    const refused = write(disk, 'meanwhile', 100_000);
    // Where no namespace can be had, the harness says so, and goes without this fault.
    expect(refused.ok).toBe(disk.unlimited !== undefined);
    if (!refused.ok) expect(refused.stderr).toContain('ENOSPC');
    expect(readFileSync(path.join(disk.outside, 'before'))).toHaveLength(10_000);
    disk.makeRoom();
    expect(write(disk, 'after', 100_000).ok).toBe(true);
    disk.keep();
    await disk.close();
    expect(readdirSync(disk.directory)).toEqual(expect.arrayContaining(['before', 'after']));
    expect(existsSync(disk.outside)).toBe(disk.unlimited !== undefined);
  });
});
