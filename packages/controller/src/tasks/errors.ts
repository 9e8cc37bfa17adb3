/** What a caller may hear of tasks that cannot be. */
import { MigError } from '@mig/common/errors';
import type { TaskRecord } from '@mig/common/domain/task';

export class UnknownTaskError extends MigError {
  constructor(readonly taskId: string) {
    super(
      'unknown-task',
      `task ${taskId} is not known; it may be older than the retention of finished tasks`,
    );
  }
}

export class TaskEndedError extends MigError {
  constructor(readonly task: TaskRecord) {
    super('task-ended', `task ${task.id} is ${task.state}: there is nothing to cancel`);
  }
}

export class TooManyTasksError extends MigError {
  constructor(vmId: string, limit: number) {
    super(
      'too-many-tasks',
      `VM ${vmId} has ${limit} unfinished tasks, the most that a VM may have: cancel some, or wait until they end`,
    );
  }
}

/** Neither a VM nor an agent of this name was ever seen. */
export class UnknownAgentError extends MigError {
  constructor(readonly vmId: string) {
    super(
      'unknown-vm',
      `VM ${vmId} has never been seen by this controller: check the name with "migctl get vms"`,
    );
  }
}
