import * as z from 'zod';
import { toRfc3339 } from '../clock.js';

/** A time on the operator API: RFC 3339 in UTC with milliseconds. */
export const timeSchema = z.iso.datetime({ offset: true }).describe('RFC 3339, UTC, milliseconds');

export const toTime = toRfc3339;
export const fromTime = (text: string): number => Date.parse(text);
export const toOptionalTime = (epochMs: number | undefined): string | undefined =>
  epochMs === undefined ? undefined : toRfc3339(epochMs);
export const fromOptionalTime = (text: string | null | undefined): number | undefined =>
  text === null || text === undefined ? undefined : Date.parse(text);
