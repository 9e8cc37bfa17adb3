/** docs/security.md says of every threat which test tries it: these tests are there. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

describe('docs/security.md', () => {
  const lines = read('docs/security.md').split('\n');
  const threats = lines.slice(lines.indexOf('## Threats'), lines.indexOf('## What is left to you'));

  it('names a test for every threat, and each of them is there', () => {
    const rows = threats.filter((line) => line.startsWith('| ') && !/^\| (what|---)/.test(line));
    expect(rows.length).toBeGreaterThan(25);
    for (const row of rows) {
      const [, file = '', title = ''] = /`(packages\/\S+\.test\.ts) › ([^`]+)`/.exec(row) ?? [];
      expect({ row, isNamed: file !== '' }).toEqual({ row, isNamed: true });
      const source = read(file).replaceAll("\\'", "'");
      expect({ file, title, isThere: source.includes(title) }).toEqual({ file, title, isThere: true });
    }
  });

  it('the unit of the controller is rated at most 3.0', () => {
    const unit = path.join(ROOT, 'config', 'controller.service');
    expect(read('config/controller.service')).toMatch(/^NoNewPrivileges=yes$/m);
    // Where there is no systemd nothing rates it.
    if (!existsSync('/usr/bin/systemd-analyze')) return;
    const said = execFileSync('systemd-analyze', ['security', '--offline=true', unit], { encoding: 'utf8' });
    expect(Number(/Overall exposure level for \S+: ([\d.]+)/.exec(said)?.[1])).toBeLessThanOrEqual(3);
  });
});
