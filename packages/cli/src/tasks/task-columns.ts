import type { TaskResource } from '@mig/common/api/task-resource';
import { describeWork } from '@mig/common/domain/task';
import { fromWorkResource } from '@mig/common/api/task-resource';
import type { Listing } from '../output/format.js';
import { shorten } from '../output/text.js';
import { ageOf, formatAge } from '../output/time.js';
import type { Session } from '../session.js';

const WORK_LENGTH = 60;
const MESSAGE_LENGTH = 80;

/** @param single show one task as an object, not as a list of one */
export function taskListing(
  { io, colours }: Session,
  tasks: readonly TaskResource[],
  single: boolean,
): Listing<TaskResource> {
  const nowMs = io.clock.now();
  const paints = {
    created: colours.dim,
    sent: colours.dim,
    in_progress: colours.yellow,
    completed: colours.green,
    failed: colours.red,
    timeout: colours.red,
    cancelled: colours.dim,
  };
  return {
    rows: tasks,
    value: single ? tasks[0] : { tasks },
    nameOf: ({ id }) => id,
    columns: [
      { title: 'ID', text: ({ id }) => id },
      { title: 'VM', text: ({ vm_id }) => vm_id },
      { title: 'WORK', text: (task) => shorten(describeWork(fromWorkResource(task)), WORK_LENGTH) },
      { title: 'STATE', text: ({ state }) => state, paint: ({ state }) => paints[state] },
      {
        title: 'EXIT',
        text: ({ signal, exit_code }) => signal ?? (exit_code === undefined ? '' : String(exit_code)),
      },
      { title: 'AGE', text: ({ created_at }) => ageOf(created_at, nowMs) },
      { title: 'MESSAGE', text: ({ message }) => shorten(message ?? '', MESSAGE_LENGTH) },
    ],
    wideColumns: [
      { title: 'CREATED-BY', text: ({ created_by }) => created_by },
      {
        title: 'TOOK',
        text: ({ created_at, finished_at }) =>
          finished_at === undefined ? '' : formatAge(Date.parse(finished_at) - Date.parse(created_at)),
      },
      { title: 'OUTPUT', text: ({ output }) => String(output.bytes) },
    ],
  };
}
