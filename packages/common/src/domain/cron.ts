/** When a schedule is due. */
import { Cron } from 'croner';

/** Why the expression or the time zone cannot be used; undefined if they can. */
export function cronFault(expression: string, timeZone: string): string | undefined {
  try {
    const cron = new Cron(expression, { timezone: timeZone, paused: true });
    const next = cron.nextRun();
    cron.stop();
    return next === null ? 'it is never due' : undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The first time after `after`; undefined if there is none. @throws Error for what `cronFault` names */
export function nextRun(expression: string, timeZone: string, after: number): number | undefined {
  const cron = new Cron(expression, { timezone: timeZone, paused: true });
  const next = cron.nextRun(new Date(after));
  cron.stop();
  return next?.getTime();
}
