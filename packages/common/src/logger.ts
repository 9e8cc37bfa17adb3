import pino from 'pino';
import { printableJson } from './errors.js';
import type { LogLevel } from './domain/log-level.js';

/** What a part needs of a log: pino's own interface. */
export type Logger = pino.Logger;

/** Keys whose values never reach a log line (invariant I8), at the first two levels of a line's fields. */
const SECRET_KEYS = [
  'token',
  'registration_token',
  'registrationToken',
  'jit_config',
  'jitConfig',
  'authorization',
  'privateKey',
];

export interface LoggerOptions {
  /** The program: `controller`, `miglet`, … Becomes the field `name`. */
  readonly name: string;
  /** Default `info`. */
  readonly level?: LogLevel;
  /** Where lines go. Default standard output, written synchronously so that the last line before an end is not lost. */
  readonly destination?: pino.DestinationStream;
  /** Fields on every line. */
  readonly bindings?: Record<string, unknown>;
}

/** A logger that writes one JSON object per line. `logger.level = 'debug'` changes the level while it runs. */
export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      name: options.name,
      level: options.level ?? 'info',
      base: { name: options.name, ...options.bindings },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // Names and words of others stand in it: pino itself escapes only what JSON must.
      hooks: { streamWrite: printableJson },
      redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`]), censor: '[redacted]' },
    },
    options.destination ?? pino.destination({ fd: 1, sync: true }),
  );
}

/** A logger that writes nothing, for tests and for parts that run without one. */
export const silentLogger: Logger = pino({ level: 'silent' });
