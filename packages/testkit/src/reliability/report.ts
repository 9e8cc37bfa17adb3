/** The table at the end, and the same as JSON. */
import type { PartResult } from './part.js';

export interface PartReport extends PartResult {
  readonly name: string;
  readonly title: string;
  readonly durationMs: number;
}

export interface Report {
  readonly startedAt: string;
  readonly machine: string;
  /** As they were given. */
  readonly options: { readonly seed: number };
  readonly parts: readonly PartReport[];
  readonly durationMs: number;
  /** Why it was ended before all was measured; undefined = it was not. */
  readonly interrupted: string | undefined;
  /** Every part was run to its end, and every promise held. */
  readonly held: boolean;
}

const NAME_WIDTH = 62;
const VALUE_WIDTH = 12;

/** Figures, and promises with `held` or `BROKEN` and what broke them. */
export function toTable(report: Report): string {
  const lines: string[] = [];
  for (const part of report.parts) {
    lines.push('', `${part.name}: ${part.title} (${seconds(part.durationMs)} s)`);
    for (const { name, value, unit } of part.figures) {
      lines.push(
        `  ${name.padEnd(NAME_WIDTH)} ${String(value).padStart(VALUE_WIDTH)}${unit === undefined ? '' : ` ${unit}`}`,
      );
    }
    for (const { promise, held, evidence } of part.verdicts) {
      lines.push(`  ${promise.padEnd(NAME_WIDTH)} ${(held ? 'held' : 'BROKEN').padStart(VALUE_WIDTH)}`);
      for (const fault of evidence) lines.push(`      ${fault}`);
    }
  }
  lines.push('', `${conclusion(report)}; ${seconds(report.durationMs)} s.`);
  lines.push(`Seed ${report.options.seed}. ${report.machine}.`, '');
  return lines.join('\n');
}

function conclusion({ held, interrupted }: Report): string {
  if (interrupted !== undefined) return `Not all was measured: ${interrupted}`;
  return held ? 'Every promise held' : 'NOT every promise held';
}

const seconds = (ms: number): string => (ms / 1_000).toFixed(0);
