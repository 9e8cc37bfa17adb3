/** Which words are coloured how, and when. */
import pc from 'picocolors';
import type { CommandState } from '@mig/common/domain/command-state';
import type { DrainState, DrainVmState } from '@mig/common/domain/drain';
import type { Link, Liveness } from '@mig/common/domain/vm';
import type { WorkflowJobStatus } from '@mig/common/domain/workflow-job';
import { phaseOf } from '@mig/common/domain/vm-state';
import type { Output } from './output.js';

export type Paint = (text: string) => string;

export interface Colours {
  readonly enabled: boolean;
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
  readonly vmState: (state: string) => Paint;
  readonly link: (link: Link) => Paint;
  readonly liveness: (liveness: Liveness) => Paint;
  readonly commandState: (state: CommandState) => Paint;
  readonly drainState: (state: DrainState) => Paint;
  readonly drainVmState: (state: DrainVmState) => Paint;
  readonly workflowJobStatus: (status: WorkflowJobStatus) => Paint;
  /** GitHub's word for how a job ended; undefined: it has not. */
  readonly conclusion: (conclusion: string | undefined) => Paint;
}

/** NO_COLOR (any value) turns colours off, else FORCE_COLOR (other than 0) turns them on; else a terminal has them. */
export function createColours(env: Readonly<Record<string, string | undefined>>, output: Output): Colours {
  const { bold, dim, red, green, yellow, cyan } = pc.createColors(wanted(env, output));
  const plain: Paint = (text) => text;
  return {
    enabled: wanted(env, output),
    bold,
    dim,
    red,
    green,
    yellow,
    vmState(state) {
      const phase = phaseOf(state);
      switch (phase) {
        case 'booting':
        case 'registering':
          return cyan;
        case 'ready':
          return green;
        case 'draining':
          return yellow;
        case 'shutdown':
          return dim;
        case undefined:
          return plain;
      }
    },
    link: (link) => (link === 'connected' ? plain : yellow),
    liveness(liveness) {
      switch (liveness) {
        case 'alive':
          return plain;
        case 'suspect':
          return yellow;
        case 'lost':
          return red;
      }
    },
    commandState(state) {
      switch (state) {
        case 'queued':
        case 'sent':
        case 'received':
          return yellow;
        case 'completed':
          return green;
        case 'failed':
        case 'expired':
          return red;
        case 'cancelled':
        case 'superseded':
          return dim;
      }
    },
    drainState(state) {
      switch (state) {
        case 'active':
          return yellow;
        case 'completed':
          return green;
        case 'cancelled':
          return dim;
      }
    },
    drainVmState(state) {
      switch (state) {
        case 'waiting':
        case 'cancelled':
          return dim;
        case 'draining':
        case 'shuttingDown':
          return yellow;
        case 'done':
          return green;
        case 'failed':
        case 'gone':
          return red;
      }
    },
    workflowJobStatus(status) {
      switch (status) {
        case 'requested':
        case 'pending':
        case 'waiting':
        case 'queued':
          return yellow;
        case 'in_progress':
          return green;
        case 'completed':
          return dim;
      }
    },
    conclusion(conclusion) {
      switch (conclusion) {
        case undefined:
        case 'success':
        case 'neutral':
          return plain;
        case 'cancelled':
        case 'skipped':
          return dim;
        default:
          return red;
      }
    },
  };
}

function wanted(env: Readonly<Record<string, string | undefined>>, output: Output): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return output.isTty && env['TERM'] !== 'dumb';
}
