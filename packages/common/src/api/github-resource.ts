/** GitHub as the controller sees it, as JSON: how it signs in, its limits, webhooks, and reconciliation. No secret is in it (I8). */
import * as z from 'zod';
import { LINKS, LIVENESS } from '../domain/vm.js';
import { timeSchema } from './time.js';

export const FINDING_KINDS = ['ghost', 'missing', 'offline', 'job_disagreement'] as const;
/** What does not fit together of a runner; `reconciliation/findings.ts` of the controller says when it does not. */
export type FindingKind = (typeof FINDING_KINDS)[number];

/** What is done about a finding when it has been so for long enough. `none`: nothing; its reason says why. */
export const FINDING_ACTIONS = ['delete', 'replace', 'tell', 'none'] as const;

const callClassSchema = z.enum(['registration', 'deletion', 'reconciliation', 'listing']);

export const installationSchema = z.object({
  name: z.string().describe("one bucket of GitHub's rate limit: an installation, the App itself, the token"),
  limit: z.int().optional().describe('requests in the hour; missing before GitHub has said it'),
  remaining: z.int().optional(),
  reset_at: timeSchema.optional().describe('when the hour ends'),
  quiet_until: timeSchema.optional().describe('GitHub asked to be left alone until then'),
  calls: z
    .record(
      callClassSchema,
      z.object({
        made: z.int(),
        put_off: z
          .int()
          .describe('times that a call had to wait, because the rest is kept for what matters more'),
      }),
    )
    .describe('since the start of the controller, by class'),
  waiting: z
    .array(z.object({ class: callClassSchema, until: timeSchema }))
    .describe('classes of calls that wait now'),
  problem: z.string().optional().describe('the last failure; missing after a success'),
});

export const findingSchema = z.object({
  kind: z.enum(FINDING_KINDS),
  runner: z.string(),
  scope: z.string().describe('path of the place in the REST API: /orgs/acme'),
  vm_id: z.string().optional(),
  action: z.enum(FINDING_ACTIONS).describe('what is done about it when it has been so for the grace'),
  reason: z.string(),
  since: timeSchema,
  sightings: z.int().describe('rounds in a row in which it was seen'),
  note: z.string().optional().describe('what became of the last try to do something about it'),
});

export const deedSchema = z.object({
  at: timeSchema,
  kind: z.enum(FINDING_KINDS),
  action: z.enum(FINDING_ACTIONS),
  runner: z.string(),
  scope: z.string(),
  vm_id: z.string().optional(),
  reason: z.string(),
  since: timeSchema,
  command_id: z.string().optional().describe('the register_runner that replaces the runner'),
});

export const reconciliationSchema = z.object({
  interval_ms: z.int(),
  grace_ms: z.int(),
  last_round: z
    .object({
      at: timeSchema,
      duration_ms: z.number(),
      deleted: z.int(),
      replaced: z.int(),
      left: z.int().describe('what was due, and is left to the next round'),
    })
    .optional()
    .describe('missing before the first round has ended'),
  scopes: z.array(
    z.object({
      scope: z.string(),
      listed_at: timeSchema.optional().describe('when the last list came whole; missing = never'),
      runners: z.int().describe('on that list'),
      ours: z.int().describe('those whose name says that they are of this controller'),
      problem: z.string().optional(),
    }),
  ),
  findings: z.array(findingSchema).describe('what does not fit together now, oldest first'),
  recent: z.array(deedSchema).describe('what was done, newest last; the last 200 since the start'),
  problem: z.string().optional().describe('why the last round came to nothing, in whole or in part'),
});

export const webhooksSchema = z.object({
  configured: z
    .boolean()
    .describe('false: github.webhook.secret_file is empty, and every webhook is refused'),
  last_delivery_at: timeSchema.optional().describe('when one with a right signature came last'),
  taken: z.int().describe('since the start of the controller, as the next ones'),
  duplicates: z.int(),
  ignored: z.int().describe('of events that nothing is done with'),
  refused: z.record(z.string(), z.int()).describe('by the code of the problem'),
  problem: z.string().optional().describe('why the last one was refused; missing after one that was taken'),
  jobs: z.object({ open: z.int(), finished: z.int() }).describe('workflow jobs that are known'),
  redelivery: z
    .object({
      source: z.string().describe('whose deliveries are looked at'),
      read_until: timeSchema.optional().describe("GitHub's list is settled until here"),
      lost: z.int().describe('deliveries that failed and are still to come'),
      last_round_at: timeSchema.optional(),
      problem: z.string().optional().describe('why the last round did not come to its end'),
    })
    .nullable()
    .describe('null: lost deliveries are not looked for'),
  redelivery_off: z.string().optional().describe('why they are not'),
});

/** What `GET /api/v1/github` answers. */
export const githubSchema = z.object({
  auth: z.enum(['none', 'token', 'app']).describe('none: the controller does not sign in at GitHub'),
  api_url: z.string(),
  installations: z.array(installationSchema),
  webhooks: webhooksSchema,
  reconciliation: reconciliationSchema.nullable().describe('null if auth is none'),
});

export const runnerRowSchema = z.object({
  name: z.string(),
  scope: z.string(),
  ours: z.boolean().describe('by its name; no other runner is ever touched'),
  listed_at: timeSchema.optional().describe("when GitHub's list came; missing = it is not known"),
  github: z
    .object({
      id: z.int(),
      status: z.enum(['online', 'offline']),
      busy: z.boolean().describe('a hint: it may lag behind'),
      labels: z.array(z.string()),
    })
    .nullable()
    .describe("null: GitHub's list has no such runner, if there is a list"),
  vm: z
    .object({
      vm_id: z.string(),
      boot_id: z.string(),
      state: z.string(),
      link: z.enum(LINKS),
      liveness: z.enum(LIVENESS),
      runner_name: z
        .string()
        .optional()
        .describe('that the MIGlet says it has; empty = none; missing = not said'),
      job: z.string().optional().describe('name of the job that runs, by the word of the MIGlet'),
      registering: z.boolean(),
    })
    .nullable()
    .describe('null: no VM of this name is known'),
  finding: findingSchema.nullable(),
});

export const runnerListSchema = z.object({
  runners: z.array(runnerRowSchema),
  next_cursor: z.string().optional(),
});

export type GitHubResource = z.infer<typeof githubSchema>;
export type RunnerRowResource = z.infer<typeof runnerRowSchema>;
export type FindingResource = z.infer<typeof findingSchema>;
export type DeedResource = z.infer<typeof deedSchema>;
