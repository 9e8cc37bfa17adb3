/** `describe github`: does it work, what is left of the limits, what reconciliation found and did. */
import type { DeedResource, FindingResource, GitHubResource } from '@mig/common/api/github-resource';
import { formatDuration } from '@mig/common/config/duration';
import { EXIT, type ExitCode } from '../errors.js';
import { authText, callsText, findingText, limitText, waitingText } from '../github/github-text.js';
import { printPages, type PageFormat } from '../output/format.js';
import { renderTable, type Column } from '../output/table.js';
import { count, safe } from '../output/text.js';
import { ageOf, timeAndAge } from '../output/time.js';
import type { Session } from '../session.js';

/** Of what was done, the newest. */
const RECENT = 20;

type Lines = readonly (readonly [string, string])[];
type Reconciliation = NonNullable<GitHubResource['reconciliation']>;

export async function describeGitHub(session: Session, output: PageFormat): Promise<ExitCode> {
  const github = await session.client.getGitHub();
  const pages = [{ text: page(session, github), value: github }];
  await printPages(session.io.stdout, pages, { output, listName: 'github' });
  return EXIT.done;
}

function page(session: Session, github: GitHubResource): string {
  const nowMs = session.io.clock.now();
  const { reconciliation } = github;
  return [
    facts([
      ['GitHub', session.colours.bold(safe(github.api_url))],
      ['Signs in', authText(github)],
      [
        'Ready',
        'GitHub counts for nothing in /readyz: while it is away, registrations wait, and all else goes on',
      ],
    ]),
    ...github.installations.map((each) => installation(session, each, nowMs)),
    section(session, 'Webhooks', facts(webhooks(session, github.webhooks, nowMs))),
    ...(reconciliation === null
      ? [`${session.colours.bold('Reconciliation:')} none, because the controller does not sign in\n`]
      : rounds(session, reconciliation, nowMs)),
  ].join('');
}

function installation(
  session: Session,
  each: GitHubResource['installations'][number],
  nowMs: number,
): string {
  const waiting = waitingText(each, nowMs);
  return section(
    session,
    `Limit of ${safe(each.name)}`,
    facts([
      ['Left', limitText(each, nowMs)],
      ['Requests', callsText(each)],
      ['Waiting', waiting === '' ? 'nothing' : session.colours.yellow(waiting)],
      ...problem(session, each.problem),
    ]),
  );
}

function webhooks(session: Session, of: GitHubResource['webhooks'], nowMs: number): Lines {
  if (!of.configured)
    return [['Taken', 'none: github.webhook.secret_file is empty, and every webhook is refused']];
  const refused = Object.entries(of.refused).map(([code, times]) => `${times} ${safe(code)}`);
  const { redelivery } = of;
  return [
    ['Last', of.last_delivery_at === undefined ? 'none yet' : timeAndAge(of.last_delivery_at, nowMs)],
    ['Taken', `${of.taken}, ${of.duplicates} that came twice, ${of.ignored} of other events`],
    ['Refused', refused.length === 0 ? 'none' : refused.join(', ')],
    ['Jobs', `${of.jobs.open} open, ${of.jobs.finished} finished (migctl get workflow-jobs)`],
    [
      'Lost',
      redelivery === null
        ? `not looked for: ${safe(of.redelivery_off ?? 'it is off')}`
        : `${redelivery.lost} still to come, by ${safe(redelivery.source)}, looked for ${agoText(redelivery.last_round_at, nowMs)}`,
    ],
    ...problem(session, of.problem),
    ...problem(session, redelivery?.problem),
  ];
}

function rounds(session: Session, of: Reconciliation, nowMs: number): string[] {
  const { last_round: last } = of;
  const scopes = of.scopes.map(
    ({ scope, runners, ours, listed_at: listedAt }) =>
      [
        'Place',
        `${safe(scope)}: ${count(runners, 'runner')}, ${ours} ours, listed ${agoText(listedAt, nowMs)}`,
      ] as const,
  );
  const lines: Lines = [
    [
      'Every',
      `${formatDuration(of.interval_ms)}; what stays wrong for ${formatDuration(of.grace_ms)} is acted upon`,
    ],
    [
      'Last round',
      last === undefined
        ? 'none yet'
        : `${timeAndAge(last.at, nowMs)}, took ${last.duration_ms} ms; ${last.deleted} deleted, ${last.replaced} replaced, ${last.left} left to the next`,
    ],
    ...scopes,
    ...problem(session, of.problem),
  ];
  return [
    section(session, 'Reconciliation', facts(lines)),
    table(session, 'Findings', findingColumns(session, nowMs), of.findings),
    table(session, 'Done', deedColumns(nowMs), of.recent.slice(-RECENT)),
  ];
}

const findingColumns = ({ colours }: Session, nowMs: number): Column<FindingResource>[] => [
  { title: 'RUNNER', text: ({ runner }) => runner },
  { title: 'VM', text: ({ vm_id: vmId }) => vmId ?? '' },
  { title: 'FINDING', text: findingText, paint: () => colours.red },
  { title: 'SINCE', text: ({ since }) => ageOf(since, nowMs) },
  { title: 'SEEN', text: ({ sightings }) => `${sightings}x` },
  { title: 'REASON', text: ({ reason, note }) => (note === undefined ? reason : `${reason} (${note})`) },
];

const deedColumns = (nowMs: number): Column<DeedResource>[] => [
  { title: 'AGE', text: ({ at }) => ageOf(at, nowMs) },
  { title: 'RUNNER', text: ({ runner }) => runner },
  { title: 'VM', text: ({ vm_id: vmId }) => vmId ?? '' },
  { title: 'DONE', text: ({ kind, action }) => DONE[action] ?? kind },
  { title: 'REASON', text: ({ reason }) => reason },
];

const DONE: Readonly<Partial<Record<DeedResource['action'], string>>> = {
  delete: 'deleted',
  replace: 'replaced',
  tell: 'told',
};

const agoText = (time: string | undefined, nowMs: number): string =>
  time === undefined ? 'not yet' : `${ageOf(time, nowMs)} ago`;

const problem = ({ colours }: Session, text: string | undefined): Lines =>
  text === undefined ? [] : [['Problem', colours.red(safe(text))]];

const facts = (lines: Lines): string =>
  lines.map(([name, text]) => `${`${name}:`.padEnd(12)}${text}\n`).join('');

const section = ({ colours }: Session, title: string, body: string): string =>
  `${colours.bold(`${title}:`)}\n${body.replace(/^(?=.)/gm, '  ')}`;

function table<Row>(
  session: Session,
  title: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): string {
  if (rows.length === 0) return `${session.colours.bold(`${title}:`)} none\n`;
  return section(session, title, renderTable(columns, rows));
}
