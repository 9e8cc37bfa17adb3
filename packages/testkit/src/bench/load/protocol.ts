/** What the harness asks of the load, which is another process: one request at a time, each answered once. */
import type { Dialect } from '../wire/answer.js';

/** Where the server is, and what it asks of those who come. */
export interface Target {
  /** `http://127.0.0.1:PORT`, or https. */
  readonly http: string;
  readonly grpcHost: string;
  readonly grpcPort: number;
  readonly dialect: Dialect;
  /** Its process: what it used is read at the edges of what is measured. */
  readonly pid: number;
  /** The authority of its certificate (PEM). Undefined = no TLS. */
  readonly ca: string | undefined;
  /** What an operator speaks with, and what VMs join with. Undefined = nobody is asked. */
  readonly operatorToken: string | undefined;
  readonly joinToken: string | undefined;
}

export type LoadRequest =
  /** Announces so many VMs, then opens their streams. */
  | { readonly kind: 'connect'; readonly target: Target; readonly vms: number }
  /** Every VM sends a heartbeat in each interval, evenly spread, until `stopBeating`. */
  | { readonly kind: 'beat'; readonly intervalMs: number }
  | { readonly kind: 'stopBeating' }
  /** Heartbeats as fast as the server takes them, with so many of a VM under way, and so many VMs at a time. */
  | {
      readonly kind: 'saturate';
      readonly window: number;
      readonly atOnce: number;
      readonly warmUpMs: number;
      readonly measuredMs: number;
    }
  /** Commands, one at a time, each to another VM. */
  | { readonly kind: 'roundTrips'; readonly count: number }
  /** One order that reaches every VM. */
  | { readonly kind: 'drain' }
  /** Every stream is expected to end; resolves when all have. */
  | { readonly kind: 'awaitEnds' }
  /** Opens the streams of all VMs again, at a server that has taken the place of the one before. */
  | { readonly kind: 'reconnect'; readonly target: Target }
  /** Closes every stream. */
  | { readonly kind: 'close' };

export interface LoadAnswers {
  readonly connect: { readonly announceMs: number; readonly streamsMs: number; readonly use: Use };
  readonly beat: Record<string, never>;
  readonly stopBeating: { readonly heartbeats: number };
  readonly saturate: { readonly heartbeats: number; readonly use: Use };
  readonly roundTrips: { readonly timesMs: readonly number[] };
  readonly drain: { readonly allMs: number; readonly use: Use };
  readonly awaitEnds: Record<string, never>;
  readonly reconnect: { readonly streamsMs: number; readonly announcedAgain: number };
  readonly close: Record<string, never>;
}

/** What both sides used of their cores while something was measured. */
export interface Use {
  readonly elapsedMs: number;
  readonly serverCpuMs: number;
  readonly loadCpuMs: number;
}

export type Asked<K extends LoadRequest['kind']> = Extract<LoadRequest, { kind: K }>;
export type LoadReply = { readonly answer: unknown } | { readonly failure: string };
