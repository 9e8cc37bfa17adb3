/**
 * Writes the folder of a stand-in runner, with the layout of the real one: `config.sh`, `run.sh`, `bin/Runner.Listener`,
 * `bin/Runner.Worker`. The two programs are scripts that start this package's compiled code with the node that
 * installed them; the folder itself can be moved, the code cannot.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { CONFIG_SH, RUN_SH } from './shell-scripts.js';

export interface InstallOptions {
  /**
   * Where the compiled `listener-main.js` and `worker-main.js` are. Default: beside this file, or, if this file is in
   * `src` (a test), in the `dist` of the same package.
   */
  readonly scriptDir?: string;
  /** The node that runs them. Default: the one that runs now. */
  readonly nodePath?: string;
  /**
   * Written to the runner's `.env`, which wins over what the listener inherits: the way to give a runner its switches
   * (`switches.ts`) past a supervisor that chooses the environment. Default: an `.env` that is there stays.
   */
  readonly env?: Readonly<Record<string, string>>;
}

export interface InstalledRunner {
  readonly dir: string;
  readonly configScript: string;
  readonly runScript: string;
  /** `bin/Runner.Listener`: to be started with `run`. */
  readonly listener: string;
  readonly worker: string;
}

/** Makes `dir` if it is missing; what is there of an earlier installation is replaced, a configuration stays. */
export function installStandInRunner(dir: string, options: InstallOptions = {}): InstalledRunner {
  const scriptDir = options.scriptDir ?? defaultScriptDir();
  const nodePath = options.nodePath ?? process.execPath;
  const bin = path.join(dir, 'bin');
  mkdirSync(bin, { recursive: true });
  // below a folder with `"type": "module"` node would refuse a script called Runner.Listener
  writeFileSync(path.join(bin, 'package.json'), '{ "type": "commonjs" }\n');
  if (options.env !== undefined) {
    const lines = Object.entries(options.env).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(path.join(dir, '.env'), lines.join(''));
  }
  const write = (file: string, content: string): string => {
    writeFileSync(file, content, { mode: 0o755 });
    return file;
  };
  return {
    dir,
    configScript: write(path.join(dir, 'config.sh'), CONFIG_SH),
    runScript: write(path.join(dir, 'run.sh'), RUN_SH),
    listener: write(
      path.join(bin, 'Runner.Listener'),
      toProgram(nodePath, path.join(scriptDir, 'listener-main.js')),
    ),
    worker: write(
      path.join(bin, 'Runner.Worker'),
      toProgram(nodePath, path.join(scriptDir, 'worker-main.js')),
    ),
  };
}

/**
 * With node itself in the first line, the process is called like the file (`/proc/PID/comm` is `Runner.Worker`), which
 * is how the real one is found. The kernel takes no blanks there and no more than 127 characters; then a shell has to do.
 */
function toProgram(nodePath: string, script: string): string {
  const code = `import(${JSON.stringify(pathToFileURL(script).href)});\n`;
  if (!/\s/.test(nodePath) && nodePath.length < 120) return `#!${nodePath}\n${code}`;
  return `#!/bin/sh\n':' //; exec ${shellQuote(nodePath)} "$0" "$@"\n${code}`;
}

const shellQuote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

function defaultScriptDir(): string {
  const here = path.dirname(fileURLToPath(import.meta.url));
  const source = `${path.sep}src${path.sep}runner`;
  return here.endsWith(source) ? `${here.slice(0, -source.length)}${path.sep}dist${path.sep}runner` : here;
}
