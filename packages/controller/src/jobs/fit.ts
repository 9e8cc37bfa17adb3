/** Does a node fit a job, and if not, why. */
import type { JobConstraint, JobRecord, Resources } from '@mig/common/domain/job';
import type { Node } from './nodes.js';
import { matches } from './pattern.js';

/** What of a job decides where it may run; made once for each job. */
export interface Requirement {
  /** Jobs with the same text fit the same nodes. */
  readonly key: string;
  readonly resources: Resources;
  readonly onlyNode: string | undefined;
  /** Why the node does not match, whatever else it has to do; undefined if it does. */
  readonly mismatch: (node: Node) => string | undefined;
}

export function toRequirement(job: Pick<JobRecord, 'spec' | 'onlyNode' | 'pools'>): Requirement {
  const { onlyNode, pools } = job;
  const { datacenters, constraints, resources } = job.spec;
  const checks = constraints.map((constraint) => ({ constraint, holds: compile(constraint) }));
  return {
    key: JSON.stringify([onlyNode ?? '', pools ?? '', datacenters, constraints, resources]),
    resources,
    onlyNode,
    mismatch(node) {
      if (!isOpenTo(job, node)) return 'are in pools that its submitter may not use';
      if (onlyNode !== undefined && node.id !== onlyNode) return `are not ${onlyNode}`;
      if (datacenters.length > 0 && !datacenters.includes(datacenterOf(node)))
        return datacenterOf(node) === '' ? 'name no datacenter' : `are in ${datacenterOf(node)}`;
      for (const { constraint, holds } of checks)
        if (!holds(valuesOf(node, constraint.attribute)))
          return `do not have ${constraint.attribute} ${constraint.operator} ${constraint.values.join(', ')}`;
      return undefined;
    },
  };
}

/** Is the node in a pool that the job's submitter may use? */
export const isOpenTo = ({ pools }: Pick<JobRecord, 'pools'>, { poolId }: Pick<Node, 'poolId'>): boolean =>
  pools === undefined || pools.includes(poolId);

/** What the node lacks of what it has in all: it would never do. */
export function lacking({ resources }: Requirement, node: Node): string | undefined {
  return shortOf(resources, node.resources, 'lack');
}

/** What the node lacks of what is free now. */
export function occupied({ resources }: Requirement, node: Node): string | undefined {
  const { resources: all, used } = node;
  const free: Resources = {
    ramMb: all.ramMb - used.ramMb,
    cpuPercent: all.cpuPercent - used.cpuPercent,
    diskMb: all.diskMb - used.diskMb,
  };
  return shortOf(resources, free, 'have now no');
}

/** Why the node cannot take it now; undefined if it can. */
export const refusal = (requirement: Requirement, node: Node): string | undefined =>
  occupied(requirement, node) ?? requirement.mismatch(node);

function shortOf(wanted: Resources, has: Resources, verb: string): string | undefined {
  if (wanted.ramMb > has.ramMb) return `${verb} ${wanted.ramMb} MB of memory`;
  if (wanted.cpuPercent > has.cpuPercent) return `${verb} ${wanted.cpuPercent} % of CPU`;
  if (wanted.diskMb > has.diskMb) return `${verb} ${wanted.diskMb} MB of disk`;
  return undefined;
}

const datacenterOf = ({ metadata }: Node): string => metadata['datacenter'] ?? metadata['dc'] ?? '';

/** The node's values of an attribute: several for its labels, none where it has no such key. */
function valuesOf(node: Node, attribute: string): readonly string[] {
  if (attribute === 'node_id') return [node.id];
  const value = Object.hasOwn(node.metadata, attribute) ? node.metadata[attribute] : undefined;
  if (value === undefined) return [];
  return attribute === 'labels' ? value.split(',').map((label) => label.trim()) : [value];
}

function compile({ operator, values }: JobConstraint): (has: readonly string[]) => boolean {
  const [value = ''] = values;
  switch (operator) {
    case '==':
      return (has) => has.includes(value);
    case '!=':
      return (has) => !has.includes(value);
    case 'in':
      return (has) => has.some((one) => values.includes(one));
    case 'regexp':
      return (has) => has.some((one) => matches(value, one));
    case '>=':
      return (has) => has.some((one) => one.trim() !== '' && Number(one) >= Number(value));
  }
}
