/**
 * The process `bin/Runner.Listener` of a stand-in runner: `configure`, `remove`, `run`, `warmup`.
 *
 * The folder it belongs to is the parent of the `bin` that its script lies in. Output, exit codes and signals are those
 * of the real listener (github-facts 1.2 to 1.6); `switches.ts` lists what the stand-in can do besides.
 */
import path from 'node:path';
import { readCommandLine, type CommandLine } from './command-line.js';
import { configure, unconfigure } from './configure.js';
import { loadDotEnv } from './dot-env.js';
import { EXIT } from './exit-codes.js';
import { RUNNER_VERSION } from './identity.js';
import { createRunnerFiles } from './runner-files.js';
import { runListener } from './run-listener.js';
import { readSwitches } from './switches.js';
import { createTerminal } from './terminal.js';

const root = path.resolve(path.dirname(process.argv[1] ?? ''), '..');
loadDotEnv(root, process.env);
const commandLine = readCommandLine(process.argv.slice(2), process.env);

if (commandLine.flag('version')) process.stdout.write(`${RUNNER_VERSION}\n`);
else if (commandLine.flag('commit')) process.stdout.write(`${'0'.repeat(40)}\n`);
else process.exit(await runCommand(commandLine)); // the exit code is the answer, whatever still holds the process

async function runCommand(line: CommandLine): Promise<number> {
  const env = process.env;
  const terminal = createTerminal({ root, who: 'Runner', env });
  const files = createRunnerFiles(root);
  for (const argument of line.unknown)
    terminal.error(`Unrecognized command-line input arguments: '${argument}'.`);
  try {
    const switches = readSwitches(env, root);
    switch (line.command) {
      case 'configure':
        return await configure({ root, commandLine: line, files, terminal, switches, env });
      case 'remove':
        return await unconfigure({ commandLine: line, files, terminal });
      case 'warmup':
        return EXIT.success;
      case 'run':
      case undefined: {
        const jit = line.value('jitconfig');
        if (jit !== undefined) files.saveJit(jit);
        if (!files.isConfigured()) {
          terminal.error('Runner is not configured.');
          return EXIT.terminated;
        }
        return await runListener({ root, files, terminal, switches, env, once: line.flag('once') });
      }
      default:
        terminal.error(
          `Unrecognized command ${JSON.stringify(line.command)}: use configure, remove, run or warmup`,
        );
        return EXIT.terminated;
    }
  } catch (error) {
    terminal.error(`An error occurred: ${error instanceof Error ? error.message : String(error)}`);
    return EXIT.terminated;
  }
}
