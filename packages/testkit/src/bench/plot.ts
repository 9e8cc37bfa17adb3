/** How each figure grows with the fleet, as one SVG: a panel for each figure, a line for each server. */
import { FIGURES, FIGURE_KEYS, type FigureKey, type FigureSpec } from './figures.js';
import type { Summary } from './results.js';
import { SERVERS, SERVER_SPECS, type ServerName } from './servers.js';
import { toDigits } from './table.js';

const PANEL = { width: 340, height: 220 };
const COLUMNS = 3;
const MARGIN = { left: 58, right: 14, top: 34, bottom: 30 };
const LEGEND_HEIGHT = 36;
const COLORS: Readonly<Record<ServerName, string>> = {
  controller: '#c0392b',
  'nice-grpc': '#2c5f8a',
  'nice-grpc-quiet': '#7fa8c9',
  'grpc-js': '#3a7d44',
  http2: '#8a8a8a',
};

/** A figure of one fleet size alone is a dot. Empty axes are not drawn. */
export function toSvg(summaries: readonly Summary[]): string {
  const keys = FIGURE_KEYS.filter((key) => summaries.some(({ figure }) => figure === key));
  const servers = SERVERS.filter((server) => summaries.some((each) => each.server === server));
  const width = PANEL.width * Math.min(COLUMNS, Math.max(1, keys.length));
  const height = LEGEND_HEIGHT + PANEL.height * Math.ceil(keys.length / COLUMNS);
  const panels = keys.map((key, index) => {
    const x = (index % COLUMNS) * PANEL.width;
    const y = LEGEND_HEIGHT + Math.floor(index / COLUMNS) * PANEL.height;
    const own = summaries.filter(({ figure }) => figure === key);
    return `<g transform="translate(${x} ${y})">${panelOf(key, own)}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...servers.map((server, index) => {
      const x = 14 + index * 130;
      return `<circle cx="${x}" cy="18" r="5" fill="${COLORS[server]}"/><text x="${x + 10}" y="22">${escape(SERVER_SPECS[server].title)}</text>`;
    }),
    ...panels,
    '</svg>',
    '',
  ].join('\n');
}

function panelOf(key: FigureKey, summaries: readonly Summary[]): string {
  const spec: FigureSpec = FIGURES[key];
  const mostVms = Math.max(...summaries.map(({ vms }) => vms));
  const most = Math.max(...summaries.map(({ max }) => max)) || 1;
  const inner = {
    width: PANEL.width - MARGIN.left - MARGIN.right,
    height: PANEL.height - MARGIN.top - MARGIN.bottom,
  };
  const x = (vms: number): number => round(MARGIN.left + (vms / mostVms) * inner.width);
  const y = (value: number): number =>
    round(MARGIN.top + inner.height - (Math.max(0, value) / most) * inner.height);
  const base = y(0);
  const ticks = [0, most / 2, most].map(
    (value) =>
      `<line x1="${MARGIN.left}" x2="${PANEL.width - MARGIN.right}" y1="${y(value)}" y2="${y(value)}" stroke="#e4e4e4"/>` +
      `<text x="${MARGIN.left - 5}" y="${y(value) + 4}" text-anchor="end" fill="#555">${toDigits(value)}</text>`,
  );
  const sizes = [...new Set(summaries.map(({ vms }) => vms))].sort((a, b) => a - b);
  const labels = sizes.map(
    (vms) =>
      `<text x="${x(vms)}" y="${base + 15}" text-anchor="middle" fill="#555">${vms.toLocaleString('en-US')}</text>`,
  );
  const lines = SERVERS.map((server) => {
    const points = summaries.filter((each) => each.server === server).sort((a, b) => a.vms - b.vms);
    const path = points.map((each) => `${x(each.vms)},${y(each.median)}`).join(' ');
    const marks = points.map(
      (each) =>
        `<line x1="${x(each.vms)}" x2="${x(each.vms)}" y1="${y(each.min)}" y2="${y(each.max)}" stroke="${COLORS[server]}"/>` +
        `<circle cx="${x(each.vms)}" cy="${y(each.median)}" r="3" fill="${COLORS[server]}"/>`,
    );
    if (points.length === 0) return '';
    return `<polyline points="${path}" fill="none" stroke="${COLORS[server]}" stroke-width="1.5"/>${marks.join('')}`;
  });
  const title = `${spec.title.trim()} (${spec.unit})`;
  return [
    `<text x="${MARGIN.left}" y="18" font-weight="bold">${escape(title)}</text>`,
    ...ticks,
    ...labels,
    ...lines,
  ].join('');
}

const round = (value: number): number => Math.round(value * 10) / 10;
const escape = (text: string): string =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
