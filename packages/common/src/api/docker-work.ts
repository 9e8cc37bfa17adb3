/** What is asked of the Docker engine, as JSON. proto/tasks.proto says what each field means. */
import * as z from 'zod';
import type { DockerOperation } from '../domain/task.js';

const text = (maxLength: number) => z.string().max(maxLength);
const image = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[a-zA-Z0-9][\w./:@-]*$/, 'expected the name of an image');
const container = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[a-zA-Z0-9][\w.-]*$/, 'expected the name or the id of a container');
export const envEntry = z
  .string()
  .max(32_768)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*(=[^\0]*)?$/, 'expected NAME=value');
const strings = (maxLength = 4_096) => z.array(text(maxLength)).max(1_000).default([]);

const runSchema = z.strictObject({
  image,
  name: z.union([container, z.literal('')]).default(''),
  command: strings(65_536),
  env: z.array(envEntry).max(1_000).default([]),
  volumes: strings(),
  ports: z
    .array(z.string().regex(/^(\d{1,5}:)?\d{1,5}(\/(tcp|udp))?$/, 'expected HOST_PORT:CONTAINER_PORT[/udp]'))
    .max(1_000)
    .default([]),
  workdir: text(4_096).default(''),
  user: text(64).default(''),
  network: text(128).default(''),
  labels: z.record(text(256), text(4_096)).default({}),
  detach: z.boolean().default(false),
  rm: z.boolean().default(false),
  pull: z.boolean().default(false),
  memory: z.int().min(0).default(0).describe('bytes; 0 = no limit'),
  cpus: z.number().min(0).max(1_024).default(0).describe('1.5 = one and a half; 0 = no limit'),
});

const schemas = {
  run: runSchema,
  start: z.strictObject({ container }),
  stop: z.strictObject({ container, timeout: z.int().min(0).max(86_400).default(0) }),
  logs: z.strictObject({
    container,
    follow: z.boolean().default(false),
    tail: z.int().min(0).max(1_000_000).default(0),
    timestamps: z.boolean().default(false),
  }),
  pull: z.strictObject({ image }),
  remove: z.strictObject({
    container,
    force: z.boolean().default(false),
    volumes: z.boolean().default(false),
  }),
  list: z.strictObject({ all: z.boolean().default(false) }),
};

/** `{"run": {"image": "alpine"}}`: one operation. */
export const dockerWorkSchema = z
  .strictObject({
    run: schemas.run.optional(),
    start: schemas.start.optional(),
    stop: schemas.stop.optional(),
    logs: schemas.logs.optional(),
    pull: schemas.pull.optional(),
    remove: schemas.remove.optional(),
    list: schemas.list.optional(),
  })
  .refine(
    (operations) => Object.values(operations).filter((value) => value !== undefined).length === 1,
    `name exactly one of ${Object.keys(schemas).join(', ')}`,
  );

export type DockerWorkResource = z.infer<typeof dockerWorkSchema>;

/** @param resource one that the schema has let through */
export function fromDockerWork(resource: DockerWorkResource): DockerOperation {
  const [kind, fields] = Object.entries(resource).find(([, value]) => value !== undefined) ?? [];
  return { kind, ...(fields as object) } as DockerOperation;
}

export function toDockerWork({ kind, ...fields }: DockerOperation): DockerWorkResource {
  return { [kind]: fields };
}
