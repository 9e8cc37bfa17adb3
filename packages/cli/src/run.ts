/** One run of migctl, from the words of the command line to the exit code. */
import { CommanderError } from 'commander';
import { errorMessage } from '@mig/common/errors';
import { CliError, EXIT } from './errors.js';
import type { Io } from './io.js';
import { createColours } from './output/colour.js';
import { safe } from './output/text.js';
import { createProgram } from './program.js';

/** Resolves to the exit code, when all is written; never throws. @param argv without node and the script */
export async function runMigctl(argv: readonly string[], io: Io): Promise<number> {
  const code = await run(argv, io);
  await io.stdout.flush();
  const failure = io.stdout.failure();
  if (failure === undefined) return code;
  io.stderr.write(`error: cannot write the output: ${failure.message}\n`);
  return code === EXIT.done ? EXIT.failed : code;
}

async function run(argv: readonly string[], io: Io): Promise<number> {
  try {
    const program = createProgram(io);
    // What the scripts of `migctl completion` call; it is no command, as it is for no person.
    if (argv[0] === 'complete' && argv[1] === '--') {
      const { complete } = await import('./completion/complete.js');
      await complete(program.command, argv.slice(2), io);
      return EXIT.done;
    }
    if (argv.length === 0) {
      program.command.outputHelp();
      return EXIT.done;
    }
    await program.command.parseAsync(argv, { from: 'user' });
    return program.exitCode();
  } catch (error) {
    return report(error, io);
  }
}

function report(error: unknown, io: Io): number {
  // Commander has said what it had to say: help, or what is wrong with the command line.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  const { red, dim } = createColours(io.env, io.stderr);
  if (error instanceof CliError) {
    // Who pressed Ctrl-C knows that it was no error.
    const prefix = error.exitCode === EXIT.interrupted ? '' : `${red('error:')} `;
    io.stderr.write(`${prefix}${safe(error.message)}\n`);
    if (error.hint !== undefined) io.stderr.write(`${dim('hint:')} ${safe(error.hint)}\n`);
    return error.exitCode;
  }
  io.stderr.write(`${red('error:')} unexpected, a fault of migctl: ${safe(errorMessage(error))}\n`);
  if (error instanceof Error && error.stack !== undefined) io.stderr.write(`${dim(error.stack)}\n`);
  return EXIT.failed;
}
