import { describe, expect, it } from '@jest/globals';
import { FIGURES } from './figures.js';
import { toGoals } from './goals.js';
import { toSvg } from './plot.js';
import { median, summarize, type Measured } from './results.js';
import type { ServerName } from './servers.js';
import { toDigits, toTable } from './table.js';

const measured = (
  server: ServerName,
  run: number,
  figures: Measured['figures'],
  { vms = 5_000, busy = {} }: Partial<Pick<Measured, 'vms' | 'busy'>> = {},
): Measured => ({ server, vms, run, figures, busy });

const summaries = (all: readonly Measured[]) => summarize(all, (figure) => FIGURES[figure].part);

describe('results', () => {
  it('have the median, the least and the most of all runs', () => {
    expect([median([]), median([3]), median([4, 1]), median([9, 1, 5])]).toEqual([0, 3, 2.5, 5]);
    const [connect] = summaries(
      [3, 1, 8].map((value, run) => measured('controller', run, { connect: value })),
    );
    expect(connect).toMatchObject({ median: 3, min: 1, max: 8, ratio: undefined, busy: undefined });
  });

  it('divide by the bare nice-grpc of the same run and fleet, and take the median of that', () => {
    // The machine was three times as slow in the second run.
    const all = summaries([
      measured('controller', 1, { heartbeats: 150 }),
      measured('nice-grpc', 1, { heartbeats: 100 }),
      measured('controller', 2, { heartbeats: 60 }),
      measured('nice-grpc', 2, { heartbeats: 30 }),
      measured('controller', 3, { heartbeats: 100 }),
      measured('nice-grpc', 3, { heartbeats: 100 }),
      measured('nice-grpc', 1, { heartbeats: 7 }, { vms: 10 }),
    ]);
    expect(all.find(({ server }) => server === 'controller')?.ratio).toBe(1.5);
  });

  it('leave out what a server does not have, and a ratio to nothing', () => {
    const all = summaries([
      measured('controller', 1, { files: 240, drain: 2 }),
      measured('nice-grpc', 1, { drain: 0 }),
    ]);
    expect(all.map(({ server, figure, ratio }) => [server, figure, ratio])).toEqual([
      ['controller', 'files', undefined],
      ['controller', 'drain', undefined],
      ['nice-grpc', 'drain', undefined],
    ]);
  });
});

describe('the table', () => {
  it('has a row for each figure and a column for each server, with ranges and ratios', () => {
    const text = toTable(
      summaries([
        measured('controller', 1, { connect: 4, heartbeats: 71_500 }),
        measured('controller', 2, { connect: 5, heartbeats: 71_500 }),
        measured('nice-grpc', 1, { connect: 2 }),
        measured('nice-grpc', 2, { connect: 2 }),
      ]),
    );
    expect(text.split('\n')).toEqual(
      [
        '5,000 VMs                                   controller  bare nice-grpc',
        '-'.repeat(70),
        'connect all (s)               4.50 (4.00-5.00) 2.25x            2.00',
        'heartbeats at saturation (/s)                  71,500               -',
        '',
      ].map((line, index) =>
        index < 2
          ? expect.any(String)
          : expect.stringMatching(
              line
                .trim()
                .replace(/[()./]/g, '\\$&')
                .replace(/ +/g, ' +'),
            ),
      ),
    );
  });

  it('marks what a server that was not busy has shown, and says what that means', () => {
    const text = toTable(
      summaries([measured('http2', 1, { heartbeats: 500_000 }, { busy: { heartbeats: 0.4 } })]),
    );
    expect(text).toContain('~500,000');
    expect(text).toContain('~ the server had less than 85 % of its core');
  });

  it('has three digits that mean something', () => {
    expect([0.1234, 12.34, 123.4, 12_345.6].map(toDigits)).toEqual(['0.12', '12.3', '123', '12,346']);
  });
});

describe('the goals', () => {
  it('are judged by the ratio or the value at the size that they are for', () => {
    const lines = toGoals(
      summaries([
        measured('controller', 1, { heartbeats: 160, rssIdle: 48 }),
        measured('nice-grpc', 1, { heartbeats: 100, rssIdle: 42 }),
        measured('controller', 1, { commandLoadP50: 2.5 }, { vms: 1_000 }),
      ]),
      0.6,
    );
    expect(lines).toEqual([
      expect.stringMatching(/^reached .*heartbeats.*1\.60, at least 1\.50$/),
      expect.stringMatching(/^not reached .*RSS.*48\.0, at most 45\.0$/),
      expect.stringMatching(/^reached .*p50.*2\.50, at most 2\.60$/),
    ]);
  });

  it('want what a VM costs to stay as it is while the fleet grows tenfold', () => {
    const grown = (connect: number) =>
      toGoals(
        summaries([
          measured('controller', 1, { connect: 1 }, { vms: 100 }),
          measured('controller', 1, { connect }, { vms: 1_000 }),
        ]),
        undefined,
      );
    expect(grown(11)).toEqual([expect.stringMatching(/^reached .*1\.10, at most 1\.15$/)]);
    expect(grown(12)).toEqual([expect.stringMatching(/^not reached .*1\.20/)]);
  });
});

describe('the drawing', () => {
  it('has a panel for each figure, a line for each server, and a mark for each size', () => {
    const svg = toSvg(
      summaries([
        measured('controller', 1, { connect: 1, drain: 1 }, { vms: 1_000 }),
        measured('controller', 1, { connect: 5, drain: 5 }, { vms: 5_000 }),
        measured('nice-grpc', 1, { connect: 2 }, { vms: 5_000 }),
      ]),
    );
    expect(svg).toMatch(/^<svg [^>]*viewBox="0 0 680 256"/);
    expect(svg.match(/<g transform/g)).toHaveLength(2);
    expect(svg.match(/<polyline/g)).toHaveLength(3);
    expect(svg).toContain('>connect all (s)<');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });
});
