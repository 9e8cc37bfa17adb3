/** The audit log, page by page, its lines as they are: whoever reads them can check their chain. */
import * as z from 'zod';
import { auditPageSchema } from '@mig/common/api/auth-resource';
import type { App } from '../http/app.js';
import { limitSchema } from '../http/paging.js';
import { seqAfter, type AuditLog } from './audit-log.js';
import { query } from '../http/query.js';

const MAX_SEQ_DIGITS = 15;

export function auditRoutes(app: App, { auditLog }: { readonly auditLog: AuditLog }): void {
  app.get(
    '/api/v1/audit',
    {
      schema: {
        summary: 'Entries of the audit log, oldest first',
        querystring: query({
          cursor: z
            .string()
            .regex(new RegExp(`^\\d{1,${MAX_SEQ_DIGITS}}$`), 'expected the number of an entry')
            .optional()
            .describe('number of the first entry; default: the oldest that is kept'),
          count: z.coerce
            .number()
            .pipe(z.int().min(1).max(1_000_000))
            .optional()
            .describe('begin with the newest so many, where no cursor is given'),
          limit: limitSchema(1_000),
        }),
        response: { 200: auditPageSchema },
      },
    },
    async (request) => {
      const { cursor, count, limit } = request.query;
      await auditLog.flushed();
      const { head, firstSeq } = auditLog;
      const wanted =
        cursor !== undefined ? Number(cursor) : count === undefined ? firstSeq : head.seq - count + 1;
      const first = Math.max(firstSeq, wanted);
      const { lines, faults } = await auditLog.read(first, limit);
      const next = Math.max(seqAfter(lines) ?? 0, first + lines.length);
      return {
        lines: [...lines],
        ...(lines.length > 0 && next <= head.seq ? { next_cursor: String(next) } : {}),
        head,
        first_seq: firstSeq,
        faults: [...faults],
      };
    },
  );
}
