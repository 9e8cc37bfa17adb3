/** The specification of a job, as its submitter writes it (YAML or JSON), field by field. */
import * as z from 'zod';
import { duration } from '../config/fields.js';
import { formatDuration } from '../config/duration.js';
import { cronFault } from '../domain/cron.js';
import {
  CONSTRAINT_OPERATORS,
  JOB_TYPES,
  type JobConstraint,
  type JobSpec,
  type JobTask,
} from '../domain/job.js';
import { ID_PATTERN } from '../domain/ids.js';
import { parseList } from './listed-text.js';

const name = z
  .string('expected a text')
  .regex(ID_PATTERN, 'expected 1 to 63 of a-z A-Z 0-9 . _ - beginning with a letter or a digit');
const amount = (what: string, max: number) =>
  z.number(`expected a number: ${what}`).min(0, `expected ${what}, 0 or more`).max(max, `at most ${max}`);
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of a variable');
const text = (max: number) => z.string('expected a text').max(max, `at most ${max} characters`);
/** Numbers and true or false are written without quotes by many. */
const scalar = z.union([text(4_096), z.number().transform(String), z.boolean().transform(String)], {
  error: 'expected a text, a number, true or false',
});
const env = z.record(variable, scalar).default({});

const execTask = z.strictObject({
  name,
  driver: z.literal('exec'),
  config: z.strictObject({
    command: text(131_072).min(1, 'expected a command, for /bin/sh -c'),
    working_dir: text(4_096).optional(),
  }),
  env,
});

const dockerTask = z.strictObject({
  name,
  driver: z.literal('docker'),
  config: z.strictObject({
    image: text(512).regex(/^[a-zA-Z0-9][\w./:@-]*$/, 'expected the name of an image'),
    command: z.union([text(131_072), z.array(text(65_536)).max(1_000)]).optional(),
    volumes: z.array(text(4_096)).max(100).optional(),
    network: text(128).optional(),
    user: text(64).optional(),
    workdir: text(4_096).optional(),
  }),
  env,
});

const constraint = z
  .strictObject({
    attribute: text(256).min(1, 'expected a key of the metadata, labels, or node_id'),
    operator: z.enum(CONSTRAINT_OPERATORS, `expected one of ${CONSTRAINT_OPERATORS.join(' ')}`),
    value: z.union([scalar, z.array(scalar).min(1).max(1_000)]),
  })
  .superRefine(({ operator, value }, context) => {
    const fault = (message: string): void => context.addIssue({ code: 'custom', path: ['value'], message });
    if (operator === 'in' && !Array.isArray(value)) fault('expected a list, because the operator is in');
    else if (operator !== 'in' && Array.isArray(value))
      fault(`expected one value, because the operator is ${operator}`);
    else if (operator === '>=' && !isFinite(Number(value)))
      fault('expected a number, because the operator is >=');
    else if (operator === 'regexp') {
      try {
        new RegExp(String(value));
      } catch (error) {
        fault(error instanceof Error ? error.message : 'expected a regular expression');
      }
    }
  });

const MAX_MS = 30 * 86_400_000;

export const jobSpecSchema = z
  .strictObject({
    name,
    type: z.enum(JOB_TYPES, `expected one of ${JOB_TYPES.join(', ')}`).default('batch'),
    datacenters: z.array(name).max(100).default([]),
    tasks: z
      .array(z.discriminatedUnion('driver', [execTask, dockerTask], 'expected the driver exec or docker'))
      .min(1, 'expected at least one task')
      .max(50),
    resources: z
      .strictObject({
        cpu_percent: amount('percent of one core', 1_000_000).default(0),
        ram_mb: amount('MB', 100_000_000).default(0),
        disk_mb: amount('MB', 10_000_000_000).default(0),
      })
      .prefault({}),
    priority: z.int('expected a whole number from 0 to 100').min(0).max(100).default(50),
    constraints: z.array(constraint).max(100).default([]),
    depends_on: z.array(name).max(100).default([]),
    schedule: z
      .strictObject({ cron: text(256), time_zone: text(64).default('UTC') })
      .superRefine(({ cron, time_zone }, context) => {
        const isZone = cronFault('0 0 * * *', time_zone) === undefined;
        if (!isZone) {
          context.addIssue({
            code: 'custom',
            path: ['time_zone'],
            message: `${time_zone} is no time zone: write one such as Europe/Berlin`,
          });
        }
        const fault = cronFault(cron, isZone ? time_zone : 'UTC');
        if (fault !== undefined) context.addIssue({ code: 'custom', path: ['cron'], message: fault });
      })
      .optional(),
    deadline: duration('0s', 0, MAX_MS),
    retry: z
      .strictObject({
        max_retries: z.int('expected a whole number').min(0).max(1_000).default(3),
        backoff: duration('10s', 0, 86_400_000),
        max_backoff: duration('10m', 0, 86_400_000),
      })
      .prefault({} as never),
    meta: z.record(text(256), scalar).default({}),
  })
  .superRefine((spec, context) => {
    for (const { path, message } of crossFaults(spec)) context.addIssue({ code: 'custom', path, message });
  });

/** Faults that concern several fields. @param value a specification, or what is to become one: any of it may be wrong */
export function crossFaults(value: unknown): { path: (string | number)[]; message: string }[] {
  const { type, schedule, depends_on: dependsOn, tasks } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const faults: { path: (string | number)[]; message: string }[] = [];
  const fault = (path: (string | number)[], message: string): void => void faults.push({ path, message });
  if (type === 'system' && schedule !== undefined)
    fault(['schedule'], 'a system job has none: it runs once on every node');
  if (type === 'system' && Array.isArray(dependsOn) && dependsOn.length > 0)
    fault(['depends_on'], 'a system job waits for no other');
  if (type === 'service' && schedule !== undefined)
    fault(['schedule'], 'a service runs on, and has no schedule');
  const names = new Set<string>();
  for (const [at, task] of (Array.isArray(tasks) ? (tasks as unknown[]) : []).entries()) {
    const taskName = (task as { name?: unknown } | null)?.name;
    if (typeof taskName !== 'string') continue;
    if (names.has(taskName)) fault(['tasks', at, 'name'], `${taskName} is the name of an earlier task`);
    names.add(taskName);
  }
  return faults;
}

export type JobSpecResource = z.infer<typeof jobSpecSchema>;

export function fromJobSpecResource(spec: JobSpecResource): JobSpec {
  return {
    name: spec.name,
    type: spec.type,
    datacenters: spec.datacenters,
    tasks: spec.tasks.map(fromTask),
    resources: {
      ramMb: spec.resources.ram_mb,
      cpuPercent: spec.resources.cpu_percent,
      diskMb: spec.resources.disk_mb,
    },
    priority: spec.priority,
    constraints: spec.constraints.map(({ attribute, operator, value }) => ({
      attribute,
      operator,
      values: Array.isArray(value) ? value : [value],
    })),
    dependsOn: spec.depends_on,
    schedule:
      spec.schedule === undefined
        ? undefined
        : { cron: spec.schedule.cron, timeZone: spec.schedule.time_zone },
    deadlineMs: spec.deadline,
    retry: {
      maxRetries: spec.retry.max_retries,
      backoffMs: spec.retry.backoff,
      maxBackoffMs: spec.retry.max_backoff,
    },
    meta: spec.meta,
  };
}

/** On the wire all options are texts: a list is one as JSON. */
const toOptions = (config: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(config)
      .filter(([key, value]) => value !== undefined && key !== 'image')
      .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );

const fromTask = (task: JobSpecResource['tasks'][number]): JobTask => ({
  name: task.name,
  driver: task.driver,
  image: task.driver === 'docker' ? task.config.image : '',
  options: toOptions(task.config),
  env: task.env,
});

/** As it would be written: what `fromJobSpecResource` reads back as the same. */
export function toJobSpecResource(spec: JobSpec): z.input<typeof jobSpecSchema> {
  return {
    name: spec.name,
    type: spec.type,
    datacenters: [...spec.datacenters],
    tasks: spec.tasks.map(toTask),
    resources: {
      cpu_percent: spec.resources.cpuPercent,
      ram_mb: spec.resources.ramMb,
      disk_mb: spec.resources.diskMb,
    },
    priority: spec.priority,
    constraints: spec.constraints.map(toConstraint),
    depends_on: [...spec.dependsOn],
    ...(spec.schedule === undefined
      ? {}
      : { schedule: { cron: spec.schedule.cron, time_zone: spec.schedule.timeZone } }),
    deadline: formatDuration(spec.deadlineMs),
    retry: {
      max_retries: spec.retry.maxRetries,
      backoff: formatDuration(spec.retry.backoffMs),
      max_backoff: formatDuration(spec.retry.maxBackoffMs),
    },
    meta: { ...spec.meta },
  };
}

const toConstraint = ({ attribute, operator, values }: JobConstraint) => ({
  attribute,
  operator,
  value: operator === 'in' ? [...values] : (values[0] ?? ''),
});

function toTask(task: JobTask): z.input<typeof jobSpecSchema>['tasks'][number] {
  const { name: taskName, env: variables, options } = task;
  const common = { name: taskName, env: { ...variables } };
  if (task.driver === 'exec') {
    const { command = '', working_dir } = options;
    return {
      ...common,
      driver: 'exec',
      config: { command, ...(working_dir === undefined ? {} : { working_dir }) },
    };
  }
  const { command, volumes, ...others } = options;
  return {
    ...common,
    driver: 'docker',
    config: {
      image: task.image,
      ...others,
      ...(command === undefined ? {} : { command: parseList(command) ?? command }),
      ...(volumes === undefined ? {} : { volumes: parseList(volumes) ?? [] }),
    },
  };
}
