/** What a hostile VM, and somebody without any credential, are made to do, each by its name. */
export const ATTACK_NAMES = [
  'stream-heartbeats',
  'http-heartbeats',
  'huge-events',
  'many-streams',
  'never-reading',
  'slow-loris',
  'reconnects',
  'failed-joins',
  'strangers',
] as const;
export type AttackName = (typeof ATTACK_NAMES)[number];

export const ATTACK_TITLES: Readonly<Record<AttackName, string>> = {
  'stream-heartbeats': '10,000 heartbeats a second over the stream, which comes back as soon as it is cut',
  'http-heartbeats': '10,000 heartbeats a second over HTTP, on 50 connections',
  'huge-events': 'events of 100 MB over HTTP and gRPC, with and without their length, at once and slowly',
  'many-streams':
    '1,000 streams on one connection and over 1,000 connections, and streams that are reset at once',
  'never-reading': 'streams and requests whose answers are never read, while more and more is owed to them',
  'slow-loris': '500 connections to each port that say half of something, byte by byte',
  reconnects: 'streams that are opened, on connections of their own, and closed, without end',
  'failed-joins': 'joins and sessions that are wrong, over HTTP and gRPC, without end',
  strangers: 'requests of somebody without any credential, on both ports, without end',
};
