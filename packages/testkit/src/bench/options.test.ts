import { describe, expect, it } from '@jest/globals';
import { PARTS } from './figures.js';
import { readMigletBenchOptions } from './miglet/options.js';
import { readBenchOptions } from './options.js';
import { parseCores, pinned } from './processes/pinning.js';
import { createProgress } from './progress.js';
import { parseUnit, unitFlags } from './unit-flags.js';

const run = (...args: string[]) => {
  const reading = readBenchOptions(args);
  if (reading.kind !== 'run') throw new Error(JSON.stringify(reading));
  return reading.options;
};

describe('the command line', () => {
  it('has everything by default, and little of it with --quick', () => {
    expect(run()).toMatchObject({
      vms: [1_000, 5_000, 10_000],
      runs: 5,
      only: PARTS,
      auth: true,
      tls: false,
      timing: { steadyMs: 15_000, intervalMs: 15_000 },
    });
    expect(run('--quick')).toMatchObject({ vms: [500], runs: 1 });
    expect(run('--quick', '--vms', '50,20,50', '--runs', '2', '--steady', '600')).toMatchObject({
      vms: [20, 50],
      runs: 2,
      timing: { steadyMs: 600_000 },
    });
  });

  it('selects parts and servers, in their own order', () => {
    const { only, servers } = run('--only', 'drain,connect', '--servers', 'nice-grpc,controller');
    expect(only).toEqual(['connect', 'drain']);
    expect(servers).toEqual(['controller', 'nice-grpc']);
  });

  it('that is wrong is refused, every fault by flag, value and what is allowed', () => {
    const wrong = [
      '--vms',
      '1000,5',
      '--runs',
      '0',
      '--only',
      'speed',
      '--servers',
      'go',
      '--tls',
      'maybe',
      '--json',
      '',
    ];
    expect(readBenchOptions(wrong)).toEqual({
      kind: 'refused',
      faults: [
        expect.stringMatching(/^--vms "5" is not valid: use a whole number from 10 to/),
        expect.stringMatching(/^--servers "go" is not valid: use controller, nice-grpc/),
        expect.stringMatching(/^--runs "0" is not valid/),
        expect.stringMatching(/^--only "speed" is not valid: use connect, memory/),
        expect.stringMatching(/^--tls "maybe" is not valid: use on or off$/),
        expect.stringMatching(/^--json "" is not valid/),
      ],
    });
    expect(readBenchOptions(['--what']).kind).toBe('refused');
    expect(readBenchOptions(['--help']).kind).toBe('help');
  });

  it("of the MIGlet's bench is read the same way", () => {
    expect(readMigletBenchOptions([])).toEqual({
      kind: 'run',
      options: { runs: 5, restMs: 30_000, jsonFile: undefined },
    });
    expect(readMigletBenchOptions(['--runs', 'x', '--rest', '0'])).toMatchObject({
      faults: [expect.stringContaining('--runs "x"'), expect.stringContaining('--rest "0"')],
    });
  });
});

describe('cores', () => {
  it('are read as the kernel writes them, and a program is pinned to one, or to none', () => {
    expect(parseCores('0-2,5')).toEqual([0, 1, 2, 5]);
    expect(parseCores('')).toEqual([]);
    expect(pinned(3, ['node', 'x'])).toEqual(['taskset', '-c', '3', 'node', 'x']);
    expect(pinned(undefined, ['node', 'x'])).toEqual(['node', 'x']);
  });
});

describe('the flags of a program', () => {
  it('are those between node and the program in its unit', () => {
    const unit =
      '[Service]\nExecStart=/usr/bin/node --max-semi-space-size=32 -r x /opt/mig/a.mjs --config /etc/a\n';
    expect(parseUnit(unit, 'a.mjs')).toEqual(['--max-semi-space-size=32', '-r', 'x']);
    expect(() => parseUnit('[Service]\nExecStart=/opt/mig/a.mjs\n', 'a.mjs')).toThrow('runs a.mjs with node');
    for (const program of ['controller', 'miglet'] as const)
      expect(unitFlags(program)).toEqual(expect.any(Array));
  });
});

describe('progress', () => {
  const output = (isTTY: boolean) => {
    let text = '';
    const write = (more: string): void => void (text += more);
    const progress = createProgress({ isTTY, columns: 40, write });
    progress.show(0.5, 'run 1, 5000 VMs, and so on without an end');
    progress.say('done');
    progress.end();
    return text;
  };

  it('is a bar on a terminal, no longer than a line, and lines elsewhere', () => {
    expect(output(false)).toBe('done\n');
    const [bar = '', line] = output(true).split('\u001b[K').slice(1);
    expect(bar).toMatch(/^█{12}░{12} {2}50 % {2}run/);
    expect(bar.replace('\r', '')).toHaveLength(39);
    expect(line).toContain('done\n');
  });
});
