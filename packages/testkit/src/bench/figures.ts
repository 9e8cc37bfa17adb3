/** What the bench measures: the name, the unit and the meaning of each figure, and which part of a run it comes from. */

export const PARTS = ['connect', 'memory', 'commands', 'steady', 'heartbeats', 'drain', 'restart'] as const;
export type PartName = (typeof PARTS)[number];

export interface FigureSpec {
  readonly part: PartName;
  readonly title: string;
  readonly unit: 'ms' | 's' | 'µs' | '/s' | 'KB' | 'MB' | '%' | 'files' | 'bytes';
  /** Which direction is the good one. */
  readonly better: 'lower' | 'higher';
  readonly means: string;
}

const figure = (
  part: PartName,
  title: string,
  unit: FigureSpec['unit'],
  means: string,
  better: FigureSpec['better'] = 'lower',
): FigureSpec => ({ part, title, unit, better, means });

export const FIGURES = {
  connect: figure(
    'connect',
    'connect all',
    's',
    'every VM announced over HTTP, then welcomed on its own stream',
  ),
  announce: figure('connect', '  of it announcing', 's', 'each on a TCP connection of its own'),
  streams: figure('connect', '  of it opening streams', 's', 'TCP, HTTP/2, ConnectRequest, ConnectAck'),
  connectCpu: figure('connect', '  CPU for each VM', 'ms', 'of all threads of the server, for both'),
  rssIdle: figure(
    'memory',
    'RSS per idle VM',
    'KB',
    'what the process grew by, as it is 3 s after all were there',
  ),
  rssIdleCollected: figure(
    'memory',
    '  after a collection',
    'KB',
    'the same when garbage was just collected',
  ),
  heapIdle: figure(
    'memory',
    'heap per idle VM',
    'KB',
    'V8 heap and what its objects hold outside of it, after a collection',
  ),
  commandIdleP50: figure(
    'commands',
    'command round trip, idle, p50',
    'ms',
    'HTTP request -> durable -> pushed -> acknowledged -> result recorded; one at a time',
  ),
  commandIdleP99: figure('commands', '  p99', 'ms', 'of the same'),
  commandLoadP50: figure(
    'commands',
    'command round trip, under load, p50',
    'ms',
    'while the fleet sends 1,000 heartbeats/s',
  ),
  commandLoadP99: figure('commands', '  p99', 'ms', 'of the same'),
  steadyCpu: figure('steady', 'CPU, fleet beating', '%', 'of one core, every VM one heartbeat per interval'),
  steadyCpuPerBeat: figure(
    'steady',
    'CPU per heartbeat, paced',
    'µs',
    'the same per heartbeat, with everything else that goes on',
  ),
  steadyDelayP99: figure(
    'steady',
    'event loop delay p99, fleet beating',
    'ms',
    'how late a timer of 10 ms comes',
  ),
  steadyRss: figure('steady', 'RSS in all, fleet beating', 'MB', 'of the process, at the end'),
  rssBeating: figure('steady', 'RSS per VM, fleet beating', 'KB', 'what the process grew by'),
  heapBeating: figure('steady', 'heap per VM, fleet beating', 'KB', 'after a collection'),
  files: figure(
    'steady',
    'files per VM and hour',
    'files',
    'new or rewritten in the data directory, extrapolated',
  ),
  bytes: figure('steady', 'bytes per VM and hour', 'bytes', 'sent to the disk by the process, extrapolated'),
  heartbeats: figure(
    'heartbeats',
    'heartbeats at saturation',
    '/s',
    'decoded and handled, on one core',
    'higher',
  ),
  cpuPerBeat: figure('heartbeats', 'CPU per heartbeat, saturated', 'µs', 'of all threads of the server'),
  saturatedDelayP99: figure(
    'heartbeats',
    'event loop delay p99, saturated',
    'ms',
    'how late a timer of 10 ms comes',
  ),
  drain: figure(
    'drain',
    'one drain to all',
    's',
    'HTTP request -> all pushed -> all acknowledged -> all results recorded',
  ),
  drainCpu: figure('drain', '  CPU for each VM', 'ms', 'of all threads of the server'),
  restart: figure(
    'restart',
    'restart, all back',
    's',
    'from SIGKILL to the last VM welcomed; all come back at once',
  ),
  restartListens: figure(
    'restart',
    '  of it until it listens',
    's',
    'a new process that has read what was stored',
  ),
  restartStreams: figure('restart', '  of it opening streams', 's', 'of a server that has just begun'),
} as const satisfies Readonly<Record<string, FigureSpec>>;

export type FigureKey = keyof typeof FIGURES;
export const FIGURE_KEYS = Object.keys(FIGURES) as FigureKey[];

/** What one server showed with one fleet in one run; figures that it does not have are missing. */
export type Figures = Partial<Record<FigureKey, number>>;
