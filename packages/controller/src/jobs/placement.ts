/**
 * Which of several nodes a job had best go to. Nodes come and ask, so a node that is less suited than another that waits is
 * told to wait a moment: the job is left for the better one, and goes to whoever asks when the moment has passed.
 */
import type { Node } from './nodes.js';

/** `binpack` fills nodes up one by one; `spread` keeps them alike. */
export type Strategy = 'binpack' | 'spread';

/** How full the node is: the largest part of what it has that its jobs use; the number of its jobs where it says nothing. */
function fullness({ resources, used, jobIds }: Node): number {
  const part = (use: number, of: number): number => (of > 0 ? use / of : 0);
  return (
    Math.max(
      part(used.ramMb, resources.ramMb),
      part(used.cpuPercent, resources.cpuPercent),
      part(used.diskMb, resources.diskMb),
    ) +
    jobIds.size / 1_000
  );
}

/** Is a node among the others better suited than this one? */
export function hasBetter(strategy: Strategy, node: Node, others: Iterable<Node>): boolean {
  const own = fullness(node);
  for (const other of others) {
    if (other === node) continue;
    if (strategy === 'spread' ? fullness(other) < own : fullness(other) > own) return true;
  }
  return false;
}
