/** Why a job that waits has no node. */
import type { Requirement } from './fit.js';
import { lacking, occupied } from './fit.js';
import type { Node } from './nodes.js';

export interface WhyReason {
  readonly reason: string;
  readonly nodes: readonly string[];
}

export interface Why {
  /** `3 nodes lack 8192 MB of memory, 2 are in dc2`. */
  readonly summary: string;
  readonly fitting: readonly string[];
  readonly reasons: readonly WhyReason[];
}

export function explain(requirement: Requirement, nodes: readonly Node[]): Why {
  const groups = new Map<string, string[]>();
  const fitting: string[] = [];
  for (const node of nodes) {
    const reason = reasonOf(requirement, node);
    if (reason === undefined) fitting.push(node.id);
    else groups.set(reason, [...(groups.get(reason) ?? []), node.id]);
  }
  const reasons = [...groups]
    .map(([reason, ids]) => ({ reason, nodes: ids }))
    .sort((a, b) => b.nodes.length - a.nodes.length);
  return { fitting, reasons, summary: summarize(nodes.length, fitting.length, reasons) };
}

function reasonOf(requirement: Requirement, node: Node): string | undefined {
  if (!node.online) return 'are offline';
  if (!node.registered) return 'have not been heard of since the controller started';
  if (node.draining) return 'are draining';
  return requirement.mismatch(node) ?? lacking(requirement, node) ?? occupied(requirement, node);
}

function summarize(total: number, fitting: number, reasons: readonly WhyReason[]): string {
  if (total === 0) return 'no node has ever sent a heartbeat';
  const parts = reasons.map(({ reason, nodes }, at) => {
    const noun = at === 0 ? (nodes.length === 1 ? ' node' : ' nodes') : '';
    return `${nodes.length}${noun} ${nodes.length === 1 ? singular(reason) : reason}`;
  });
  if (fitting > 0)
    parts.unshift(
      `${fitting} ${fitting === 1 ? 'node fits, and has' : 'nodes fit, and have'} not asked for it yet`,
    );
  return parts.join(', ');
}

const singular = (reason: string): string =>
  reason
    .replace(/^are /, 'is ')
    .replace(/^lack /, 'lacks ')
    .replace(/^have /, 'has ')
    .replace(/^do not /, 'does not ')
    .replace(/^name /, 'names ');
