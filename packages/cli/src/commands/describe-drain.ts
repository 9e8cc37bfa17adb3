/** `describe drain ID...`: everything about a drain. */
import type { DrainResource } from '@mig/common/api/drain-resource';
import { DRAIN_VM_STATES } from '@mig/common/domain/drain';
import { drainVmColumns, tookText } from '../drains/drain-columns.js';
import { assertDrainIds, deadlineText, targetText } from '../drains/drain-text.js';
import { EXIT, type ExitCode } from '../errors.js';
import { printPages, type Page, type PageFormat } from '../output/format.js';
import { renderTable } from '../output/table.js';
import { count, safe } from '../output/text.js';
import { timeAndAge } from '../output/time.js';
import type { Session } from '../session.js';

export async function describeDrains(
  session: Session,
  ids: readonly string[],
  output: PageFormat,
): Promise<ExitCode> {
  assertDrainIds(ids);
  const pages: Page[] = [];
  for (const id of ids) {
    const drain = await session.client.getDrain(id);
    pages.push({ text: page(session, drain), value: drain });
  }
  await printPages(session.io.stdout, pages, { output, listName: 'drains' });
  return EXIT.done;
}

function page(session: Session, drain: DrainResource): string {
  const { colours, io } = session;
  const { vms, counts, max_unavailable: most, created_at: createdAt, finished_at: finishedAt } = drain;
  const nowMs = io.clock.now();
  const inStates = DRAIN_VM_STATES.filter((state) => counts[state] > 0).map(
    (state) => `${counts[state]} ${state}`,
  );
  const lines: readonly (readonly [string, string])[] = [
    ['Drain', colours.bold(safe(drain.id))],
    ['State', colours.drainState(drain.state)(drain.state)],
    ['Target', safe(targetText(drain))],
    ['Progress', `${count(vms.length, 'VM')}: ${inStates.join(', ')}`],
    ['Reason', safe(drain.reason) || 'none given'],
    ['Deadline', deadlineText(drain)],
    ['At a time', most === undefined ? 'all' : `at most ${count(most, 'VM')}`],
    ['Then', drain.then === 'shutdown' ? 'each VM is shut down' : 'each VM is kept, without a runner'],
    ['Made', `${timeAndAge(createdAt, nowMs)}, by ${safe(drain.created_by)}`],
    ...(finishedAt === undefined
      ? []
      : [['Ended', `${timeAndAge(finishedAt, nowMs)}, after ${tookText(createdAt, finishedAt)}`] as const]),
  ];
  const facts = lines.map(([name, text]) => `${`${name}:`.padEnd(11)}${text}\n`).join('');
  return `${facts}${colours.bold('VMs:')}\n${renderTable(drainVmColumns(session, drain), vms).replace(/^(?=.)/gm, '  ')}`;
}
