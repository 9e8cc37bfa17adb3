/** What somebody who asks for too much is told. The messages say what to do, and nothing about why a credential failed. */
import { MigError } from '@mig/common/errors';
import type { Role } from '@mig/common/domain/roles';

/** No credential, or one that is not taken: unknown, forged, expired, revoked, another's. Which, the audit log says. */
export class UnauthenticatedError extends MigError {
  /**
   * @param reason for the audit log alone; never part of the message
   * @param isAudited it has its entry in the audit log already
   */
  constructor(
    readonly reason?: string,
    readonly isAudited = false,
  ) {
    super(
      'unauthenticated',
      'this needs a valid credential: send "Authorization: Bearer TOKEN", or use "migctl login"',
    );
  }
}

/** The credential is good, and does not go so far. */
export class ForbiddenError extends MigError {
  /** @param actor whose credential it was, for the audit log, where the request itself does not say */
  constructor(
    message: string,
    readonly actor?: string,
  ) {
    super('forbidden', message);
  }
}

/** Whether what was refused has its entry in the audit log already. */
export const isAudited = (error: unknown): boolean =>
  (error as { isAudited?: unknown } | undefined)?.isAudited === true;

export const needsRole = (role: Role): ForbiddenError =>
  new ForbiddenError(
    `this needs the role ${role}, which this credential does not have here: see "migctl whoami", and ask an admin for another token`,
  );

export class UnknownTokenError extends MigError {
  constructor(readonly tokenId: string) {
    super('unknown-token', `there is no token ${tokenId}: see "migctl token list"`);
  }
}

export class TooManyTokensError extends MigError {
  constructor(readonly limit: number) {
    super('too-many-tokens', `there are ${limit} tokens that are taken, the most there can be: revoke some`);
  }
}

/** The file of the tokens is damaged. The controller does not start: it would forget what was revoked. */
export class TokenFileError extends MigError {
  constructor(
    readonly file: string,
    reason: string,
  ) {
    super(
      'bad-token-file',
      `the tokens cannot be read from ${file} (${reason}): restore it from a backup, or remove it; then all tokens are void and a new admin token is made`,
    );
  }
}

/** The identity provider does not answer: its tokens cannot be looked at now. */
export class OidcUnavailableError extends MigError {
  /** @param reason for the log alone */
  constructor(readonly reason: string) {
    super('oidc-unavailable', 'the identity provider does not answer: try again, or use another credential');
  }
}

/** The file of revoked certificates is damaged. The controller does not start: it would take them again. */
export class RevokedFileError extends MigError {
  constructor(
    readonly file: string,
    reason: string,
  ) {
    super(
      'bad-revoked-file',
      `the revoked certificates cannot be read from ${file} (${reason}): restore it from a backup, or remove it; then every certificate of the authority is taken until its end`,
    );
  }
}

export class TooManyRevokedError extends MigError {
  constructor(readonly limit: number) {
    super(
      'too-many-revoked',
      `${limit} certificates are revoked, the most there can be: make a new authority with "migctl certs init"`,
    );
  }
}
