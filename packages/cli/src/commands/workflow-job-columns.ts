import type { WorkflowJobResource } from '@mig/common/api/workflow-job-resource';
import type { Listing } from '../output/format.js';
import { shorten } from '../output/text.js';
import { ageOf, formatAge } from '../output/time.js';
import type { Session } from '../session.js';

const NAME_LENGTH = 40;
const SHA_LENGTH = 8;

/** @param single show one job as an object, not as a list of one */
export function workflowJobListing(
  { colours, io }: Session,
  jobs: readonly WorkflowJobResource[],
  single: boolean,
): Listing<WorkflowJobResource> {
  const nowMs = io.clock.now();
  return {
    rows: jobs,
    value: single ? jobs[0] : { workflow_jobs: jobs },
    columns: [
      { title: 'ID', text: ({ id }) => id },
      {
        title: 'STATUS',
        text: ({ status }) => status,
        paint: ({ status }) => colours.workflowJobStatus(status),
      },
      {
        title: 'CONCLUSION',
        text: ({ conclusion }) => conclusion ?? '',
        paint: ({ conclusion }) => colours.conclusion(conclusion),
      },
      { title: 'REPOSITORY', text: ({ repository }) => repository },
      { title: 'WORKFLOW', text: ({ workflow_name }) => shorten(workflow_name ?? '', NAME_LENGTH) },
      { title: 'NAME', text: ({ name }) => shorten(name, NAME_LENGTH) },
      { title: 'RUNNER/VM', text: ({ vm_id, runner_name }) => vm_id ?? runner_name ?? '' },
      { title: 'AGE', text: ({ created_at, first_seen_at }) => ageOf(created_at ?? first_seen_at, nowMs) },
      { title: 'QUEUED-FOR', text: ({ queued_ms }) => formatAge(queued_ms) },
    ],
    wideColumns: [
      { title: 'ATTEMPT', text: ({ run_attempt }) => String(run_attempt) },
      { title: 'RUN', text: ({ run_id }) => run_id },
      { title: 'RUNNER', text: ({ runner_name }) => runner_name ?? '' },
      { title: 'GROUP', text: ({ runner_group_name }) => runner_group_name ?? '' },
      { title: 'LABELS', text: ({ labels }) => labels.join(',') },
      { title: 'BRANCH', text: ({ head_branch }) => head_branch ?? '' },
      { title: 'SHA', text: ({ head_sha }) => head_sha.slice(0, SHA_LENGTH) },
      { title: 'HEARD', text: ({ updated_at }) => ageOf(updated_at, nowMs) },
    ],
    nameOf: ({ id }) => id,
  };
}
