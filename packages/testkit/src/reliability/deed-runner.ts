/**
 * A runner that is two shell scripts, which write down what is done to them and do nothing else: a second `config.sh` or a
 * second start cannot be hidden from it, and it costs next to nothing.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** `configured NAME`, `started`, `stopped`: what was done, in order. */
export type Deed = string;

const deedsFile = (directory: string): string => path.join(directory, 'deeds');

export function installDeedRunner(directory: string): void {
  const deeds = deedsFile(directory);
  writeFileSync(deeds, '');
  mkdirSync(path.join(directory, 'bin'), { recursive: true });
  const script = (name: string, text: string): void => {
    const file = path.join(directory, name);
    writeFileSync(file, `#!/bin/sh\n${text}`);
    chmodSync(file, 0o755);
  };
  script(
    'config.sh',
    `name=
while [ $# -gt 0 ]; do
  [ "$1" = --name ] && name=$2
  shift
done
echo "configured $name" >> '${deeds}'
printf '{"agentName":"%s"}' "$name" > .runner
`,
  );
  script(
    'bin/Runner.Listener',
    `trap 'echo stopped >> "${deeds}"; exit 0' INT
echo started >> '${deeds}'
echo "$(date -u '+%Y-%m-%d %H:%M:%SZ'): Listening for Jobs"
while :; do
  sleep 5 & wait
done
`,
  );
}

export const readDeeds = (directory: string): Deed[] =>
  readFileSync(deedsFile(directory), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
