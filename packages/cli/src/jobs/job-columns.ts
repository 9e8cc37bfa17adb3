import type { JobResource, NodeResource } from '@mig/common/api/job-resource';
import type { Listing } from '../output/format.js';
import { keyValues, shorten } from '../output/text.js';
import { ageOf } from '../output/time.js';
import type { Session } from '../session.js';

const MESSAGE_LENGTH = 80;

/** @param single show one job as an object, not as a list of one */
export function jobListing(
  { io, colours }: Session,
  jobs: readonly JobResource[],
  single: boolean,
): Listing<JobResource> {
  const nowMs = io.clock.now();
  const paints = {
    active: colours.bold,
    waiting: colours.dim,
    queued: (text: string) => text,
    claimed: colours.yellow,
    running: colours.yellow,
    completed: colours.green,
    failed: colours.red,
    cancelled: colours.dim,
  };
  return {
    rows: jobs,
    value: single ? jobs[0] : { jobs },
    nameOf: ({ id }) => id,
    columns: [
      { title: 'ID', text: ({ id }) => id },
      { title: 'NAME', text: ({ spec }) => spec.name },
      { title: 'TYPE', text: ({ spec }) => spec.type },
      { title: 'STATE', text: ({ state }) => state, paint: ({ state }) => paints[state] },
      { title: 'NODE', text: ({ node_id }) => node_id ?? '' },
      { title: 'TRY', text: ({ attempt }) => (attempt === 0 ? '' : String(attempt)) },
      { title: 'AGE', text: ({ created_at }) => ageOf(created_at, nowMs) },
      { title: 'MESSAGE', text: ({ message }) => shorten(message ?? '', MESSAGE_LENGTH) },
    ],
    wideColumns: [
      { title: 'SUBMITTER', text: ({ submitter }) => submitter },
      { title: 'EXIT', text: ({ exit_code }) => (exit_code === undefined ? '' : String(exit_code)) },
      { title: 'PARENT', text: ({ parent_id }) => parent_id ?? '' },
      { title: 'NEXT-RUN', text: ({ next_run_at }) => next_run_at ?? '' },
    ],
  };
}

const amounts = ({ cpu_percent, ram_mb, disk_mb }: NodeResource['used']): string[] =>
  [cpu_percent, ram_mb, disk_mb].map((value) => String(Math.round(value)));

/** @param single show one node as an object, not as a list of one */
export function nodeListing(
  { io, colours }: Session,
  nodes: readonly NodeResource[],
  single: boolean,
): Listing<NodeResource> {
  const nowMs = io.clock.now();
  const paints = { online: colours.green, draining: colours.yellow, offline: colours.red };
  const usage = (at: number) => (node: NodeResource) =>
    `${amounts(node.used)[at] ?? ''}/${amounts(node.resources)[at] ?? ''}`;
  return {
    rows: nodes,
    value: single ? nodes[0] : { nodes },
    nameOf: ({ node_id }) => node_id,
    columns: [
      { title: 'NAME', text: ({ node_id }) => node_id },
      { title: 'STATE', text: ({ state }) => state, paint: ({ state }) => paints[state] },
      { title: 'JOBS', text: ({ job_ids }) => String(job_ids.length) },
      { title: 'CPU%', text: usage(0) },
      { title: 'RAM-MB', text: usage(1) },
      { title: 'DISK-MB', text: usage(2) },
      { title: 'SEEN', text: ({ last_seen_at }) => ageOf(last_seen_at, nowMs) },
    ],
    wideColumns: [{ title: 'METADATA', text: ({ metadata }) => keyValues(metadata) }],
  };
}
