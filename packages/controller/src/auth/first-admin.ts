/** Somebody must be able to make the first token: a controller without an admin makes one, in a file of its data folder. */
import type { Logger } from '@mig/common/logger';
import { EVERY_POOL } from '@mig/common/domain/roles';
import type { DurableAudit } from './audit-log.js';
import { writePrivateFile } from './private-file.js';
import type { TokenBook } from './token-book.js';

export const FIRST_ADMIN = 'first-admin';

/**
 * Makes a token with every right, and writes it into `file` (0600), if nobody has such a token: at the first start, and
 * when the last one was revoked or has expired. The log says where it is, never what (I8).
 *
 * @param options.loginFlags ` --server URL …`: how migctl reaches this controller; empty = by itself
 */
export async function ensureAdmin(
  {
    book,
    audit,
    logger,
  }: { readonly book: TokenBook; readonly audit: DurableAudit; readonly logger: Logger },
  { file, loginFlags }: { readonly file: string; readonly loginFlags: string },
): Promise<void> {
  const isThere = book
    .list()
    .some(
      (token) =>
        token.kind === 'operator' && token.grants[EVERY_POOL] === 'admin' && book.stateOf(token) === 'active',
    );
  if (isThere) return;
  const { record, secret } = await book.create({
    kind: 'operator',
    name: FIRST_ADMIN,
    createdBy: 'controller',
    expiresAt: undefined,
    grants: { [EVERY_POOL]: 'admin' },
  });
  await audit.commit({
    actor: 'controller',
    action: 'token.create',
    target: record.id,
    from: '',
    outcome: 'done',
    detail: {
      kind: 'operator',
      name: FIRST_ADMIN,
      roles: JSON.stringify({ [EVERY_POOL]: 'admin' }),
      reason: 'there was no admin; its token is in the data folder of the controller, and never expires',
    },
  });
  await writePrivateFile(file, `${secret}\n`);
  logger.info(
    { event: 'admin_token_made', file, tokenId: record.id },
    `there was no admin: a token with every right is in ${file}; "migctl login${loginFlags} --token-file ${file}" uses it`,
  );
}
