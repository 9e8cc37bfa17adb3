import { ok, retryable, type Outcome } from '@mig/common/outcome';
import type { RunnerRegistrar } from '../commands/registrar.js';

const notConfigured = (): Promise<Outcome<never>> =>
  Promise.resolve(retryable('no GitHub is configured: set github.auth and github.token_file', 60_000));

/** What a controller without GitHub does: registrations wait, and say why; there is nothing to delete. */
export const noRegistrar: RunnerRegistrar = {
  mint: notConfigured,
  mintToken: notConfigured,
  setEligible: () => Promise.resolve(ok('noRunner')),
  remove: () =>
    Promise.resolve({ outcome: 'notManaged', message: 'this controller manages no GitHub runners' }),
};
