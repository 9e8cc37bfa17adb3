import type { RunnerRowResource } from '@mig/common/api/github-resource';
import type { Paint } from '../output/colour.js';
import type { Listing } from '../output/format.js';
import type { Column } from '../output/table.js';
import { ageOf } from '../output/time.js';
import type { Session } from '../session.js';
import { findingText, githubText, vmSaysText } from './github-text.js';

const plain: Paint = (text) => text;

/** Runners as GitHub, the controller and the VMs see them. */
export function runnerListing(
  { colours, io }: Session,
  runners: readonly RunnerRowResource[],
): Listing<RunnerRowResource> {
  const nowMs = io.clock.now();
  const columns: Column<RunnerRowResource>[] = [
    { title: 'NAME', text: ({ name }) => name },
    { title: 'VM', text: ({ vm }) => vm?.vm_id ?? '' },
    {
      title: 'GITHUB',
      text: githubText,
      paint: ({ github }) => (github?.status === 'online' ? plain : colours.yellow),
    },
    {
      title: 'VM SAYS',
      text: vmSaysText,
      paint: ({ vm }) => (vm === null ? plain : colours.vmState(vm.state)),
    },
    {
      title: 'FINDING',
      text: ({ finding }) => (finding === null ? '' : findingText(finding)),
      paint: ({ finding }) => (finding === null ? plain : colours.red),
    },
    { title: 'SINCE', text: ({ finding }) => ageOf(finding?.since, nowMs) },
  ];
  return {
    rows: runners,
    value: { runners },
    columns,
    wideColumns: [
      { title: 'PLACE', text: ({ scope }) => scope },
      { title: 'ID', text: ({ github }) => (github === null ? '' : String(github.id)) },
      { title: 'OURS', text: ({ ours }) => (ours ? 'yes' : 'no') },
      { title: 'LABELS', text: ({ github }) => github?.labels.join(',') ?? '' },
      {
        title: 'LISTED',
        text: ({ listed_at }) => (listed_at === undefined ? '' : `${ageOf(listed_at, nowMs)} ago`),
      },
      { title: 'SEEN', text: ({ finding }) => (finding === null ? '' : `${finding.sightings}x`) },
      { title: 'REASON', text: ({ finding }) => finding?.reason ?? '' },
    ],
    nameOf: ({ name }) => name,
  };
}
