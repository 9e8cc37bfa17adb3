/** docs/security.md says of every threat which test tries it: these tests are there. */
import { execFileSync, spawnSync } from 'node:child_process';
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
      expect({ file, title, runs: runs(source, title) }).toEqual({ file, title, runs: true });
    }
  });

  it.each([
    ["  it('claims', () => {", true],
    ["  it.each([\n    ['a', 1],\n  ])('claims', () => {", true],
    ["  test(\n    'claims', () => {", true],
    ["  whereRated('claims', () => {\nconst whereRated = isThere ? it : it.skip;", true],
    ["  it.skip('claims', () => {", false],
    ["  it.todo('claims');", false],
    ["  it.skip.each([\n    [1],\n  ])('claims', () => {", false],
    ["  xit('claims', () => {", false],
    ["  it.failing('claims', () => {", false],
    ["  // it('claims', () => {", false],
    ["  describe('claims', () => {", false],
    ["describe.skip('a', () => {\n  it('claims', () => {", false],
    ["xdescribe('a', () => {\n  it('claims', () => {", false],
    ["  expect(text).toBe('claims');", false],
  ])('does not take a test that does not run: %j: %j', (source, expected) => {
    expect(runs(source, 'claims')).toBe(expected);
  });

  /** In CI there is systemd, and nothing is passed over. */
  const whereRated = existsSync('/usr/bin/systemd-analyze') || process.env['CI'] === 'true' ? it : it.skip;
  whereRated('the unit of the controller is rated at most 3.0', () => {
    const unit = path.join(ROOT, 'config', 'controller.service');
    expect(read('config/controller.service')).toMatch(/^NoNewPrivileges=yes$/m);
    const said = execFileSync('systemd-analyze', ['security', '--offline=true', unit], { encoding: 'utf8' });
    expect(Number(/Overall exposure level for \S+: ([\d.]+)/.exec(said)?.[1])).toBeLessThanOrEqual(3);
  });

  it('the unit of the MIGlet gives jobs to another user, closes the metadata server to it, and opens it in order', () => {
    const unit = read('config/miglet.service');
    expect(unit).toMatch(/^Environment=MIGLET_RUNNER_USER=runner$/m);
    expect(unit).not.toMatch(/^User=/m);
    expect(unit).toMatch(/^StateDirectoryMode=0700$/m);
    expect(unit).toMatch(/^ExecStartPre=\+\/usr\/sbin\/nft -f \/etc\/mig\/miglet-metadata\.nft$/m);
    expect(unit).toMatch(/^ExecStopPost=\+.*SERVICE_RESULT.*nft delete table inet mig_miglet/m);
    const rules = read('config/miglet-metadata.nft');
    expect(rules).toMatch(/^table inet mig_miglet \{$/m);
    expect(rules).toMatch(/meta skuid "runner" ip daddr 169\.254\.169\.254 reject/);
  });

  const check = (rules: string): ReturnType<typeof spawnSync> =>
    spawnSync('/usr/sbin/nft', ['--check', '--file', '-'], { input: rules, encoding: 'utf8' });
  const whereNft = check('table inet mig_probe {}\n').status === 0 ? it : it.skip;
  whereNft('the rules for the metadata server are understood by nft', () => {
    // The user is looked up when they are loaded, and need not be on this machine.
    const { status, stderr } = check(read('config/miglet-metadata.nft').replaceAll('"runner"', '0'));
    expect([status, stderr]).toEqual([0, '']);
  });
});

/** Whether the source has a test of this title that is run: not skipped, not a comment, not to be written yet. */
function runs(source: string, title: string): boolean {
  const at = ["'", '"', '`'].map((quote) => source.indexOf(quote + title)).find((index) => index >= 0);
  if (at === undefined || /^ *(?:xdescribe|describe\.skip)\b/m.test(source)) return false;
  const calls = [...source.slice(0, at).matchAll(/^ *([A-Za-z]+)((?:\.[a-z]+)*)(?:\(|<)/gm)];
  const [, name = '', more = ''] = calls.at(-1) ?? [];
  if (more !== '' && more !== '.each') return false;
  return (
    name === 'it' || name === 'test' || new RegExp(`const ${name} =[^;]*\\? it : it\\.skip;`).test(source)
  );
}
