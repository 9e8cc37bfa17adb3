/**
 * Runs the commands of a page of docs/ as they stand there. A line `On HOST:` says where the next block of commands is run; a line
 * `` `FILE` on HOST: `` what the next block of YAML is called. Each host is a folder: `/etc` and `/var` of its are in it, and `scp`
 * copies from one to another.
 */
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { ROOT } from './system.js';

export interface Block {
  readonly kind: 'commands' | 'file';
  readonly host: string;
  /** Of a file. */
  readonly name: string;
  readonly text: string;
  /** The heading that it stands under. */
  readonly heading: string;
}

export function readGuide(file: string): Block[] {
  const blocks: Block[] = [];
  let heading = '';
  let where = { host: '', name: '' };
  const lines = readFileSync(file, 'utf8').split('\n');
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    if (line.startsWith('## ')) heading = line.slice(3);
    const [, onHost] = /^On ([a-z0-9-]+):$/.exec(line) ?? [];
    if (onHost !== undefined) where = { host: onHost, name: '' };
    const [, name, ofHost] = /^`([^`]+)` on ([a-z0-9-]+):$/.exec(line) ?? [];
    if (name !== undefined && ofHost !== undefined) where = { host: ofHost, name };
    const [, language] = /^```(sh|yaml)$/.exec(line) ?? [];
    if (language === undefined) continue;
    const end = lines.indexOf('```', index + 1);
    blocks.push({
      kind: language === 'sh' ? 'commands' : 'file',
      ...where,
      text: lines.slice(index + 1, end).join('\n'),
      heading,
    });
    index = end;
  }
  return blocks;
}

export interface Hosts {
  directory(host: string): string;
  writeFile(block: Block): void;
  /** Runs it to its end. */
  run(
    block: Pick<Block, 'host' | 'text'>,
  ): Promise<{ readonly code: number | null; readonly output: string }>;
  /** Starts the one program that it names, which goes on. */
  start(block: Pick<Block, 'host' | 'text'>): Service;
}

export interface Service {
  output(): string;
  /** SIGTERM; SIGKILL after 10 s. */
  stop(): Promise<void>;
}

/** @param replaced what stands in the page -> what it is in this test */
export function createHosts(
  folder: string,
  replaced: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
): Hosts {
  const bin = path.join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const command = (name: string, script: string): void => {
    writeFileSync(path.join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(path.join(bin, name), 0o755);
  };
  command('migctl', `exec '${process.execPath}' '${ROOT}/packages/cli/bin/migctl.js' "$@"`);
  command('node', `exec '${process.execPath}' "$@"`);
  command(
    'scp',
    `set -e
for last; do :; done
host="\${last%%:*}"; to="\${last#*:}"
case "$to" in /*) ;; *) to="/$to";; esac
mkdir -p "${folder}/$host$to"
while [ $# -gt 1 ]; do cp "$1" "${folder}/$host$to"; shift; done`,
  );

  function directory(host: string): string {
    const at = path.join(folder, host);
    mkdirSync(at, { recursive: true });
    return at;
  }
  function localized(text: string, host: string): string {
    let local = text;
    for (const [from, to] of Object.entries(replaced)) local = local.replaceAll(from, to);
    // Not those of scp, which are of another host.
    return local.replaceAll(/(?<![\w:])\/(etc|var)\//g, `${directory(host)}/$1/`);
  }
  function spawned(host: string, script: string) {
    const at = directory(host);
    const child = spawn('/bin/sh', ['-c', script], {
      cwd: at,
      env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, HOME: at, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
    return { child, closed, output: () => output };
  }

  return {
    directory,
    writeFile({ host, name, text }) {
      const file = name.startsWith('/') ? localized(name, host) : path.join(directory(host), name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, `${localized(text, host)}\n`);
    },
    async run({ host, text }) {
      const { closed, output } = spawned(host, `set -e\n${localized(text, host)}`);
      return { code: await closed, output: output() };
    },
    start({ host, text }) {
      const [, program = ''] = /^node (\w+)\.mjs /.exec(text) ?? [];
      const link = path.join(directory(host), `${program}.mjs`);
      try {
        symlinkSync(path.join(ROOT, 'packages', program, 'bundle', `${program}.mjs`), link);
      } catch {
        // It is there: the program is started once more.
      }
      const { child, closed, output } = spawned(host, `exec ${localized(text, host)}`);
      return {
        output,
        async stop() {
          child.kill('SIGTERM');
          const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
          await closed;
          clearTimeout(timer);
        },
      };
    },
  };
}
