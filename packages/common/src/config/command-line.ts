/** The command line of a program that is configured by flags, environment and file. */
import { parseArgs } from 'node:util';
import type * as z from 'zod';
import { errorMessage } from '../errors.js';
import { VERSION } from '../version.js';
import { ConfigError, loadConfig, type LoadedConfig } from './load.js';

export interface Program<S extends z.ZodObject> {
  /** As it calls itself in errors. */
  readonly name: string;
  /** What --help prints. */
  readonly help: string;
  readonly envPrefix: string;
  readonly schema: S;
  /** Flags that set a key of the configuration, by name: `http-port` -> `http.port`. */
  readonly flags: Readonly<Record<string, string>>;
}

export interface CommandLineIo {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

export type CommandLine<S extends z.ZodObject> =
  | ({ readonly kind: 'run' } & LoadedConfig<z.infer<S>>)
  /** Everything is said; end with this code: 0 after --help and --version, 2 after a fault. */
  | { readonly kind: 'exit'; readonly code: number };

/** Reads --config, --help, --version and the program's own flags, then the configuration. Every fault is said at once. */
export function readCommandLine<S extends z.ZodObject>(
  program: Program<S>,
  io: CommandLineIo,
): CommandLine<S> {
  let flags: Record<string, string | boolean | undefined>;
  try {
    flags = parseArgs({
      args: [...io.args],
      options: {
        config: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
        ...Object.fromEntries(Object.keys(program.flags).map((name) => [name, { type: 'string' as const }])),
      },
    }).values;
  } catch (error) {
    io.stderr.write(`${program.name}: ${errorMessage(error)}\n\n${program.help}`);
    return { kind: 'exit', code: 2 };
  }
  if (flags['help'] === true || flags['version'] === true) {
    io.stdout.write(flags['help'] === true ? program.help : `${VERSION}\n`);
    return { kind: 'exit', code: 0 };
  }
  const file = flags['config'];
  try {
    const loaded = loadConfig(program.schema, {
      envPrefix: program.envPrefix,
      env: io.env,
      ...(typeof file === 'string' ? { file } : {}),
      flags: Object.fromEntries(Object.entries(program.flags).map(([name, key]) => [key, flags[name]])),
      flagNames: Object.fromEntries(Object.entries(program.flags).map(([name, key]) => [key, name])),
    });
    return { kind: 'run', ...loaded };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const fault of error.faults) io.stderr.write(`${program.name}: ${fault}\n`);
    return { kind: 'exit', code: 2 };
  }
}
