/** A runner that waits for jobs and gets none: two shell scripts with the names and the words of GitHub's runner. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const CONFIGURE = `#!/bin/sh
echo '{"agentName":"bench"}' > .runner
`;
const LISTEN = `#!/bin/sh
trap 'exit 0' INT TERM
echo "$(date -u '+%Y-%m-%d %H:%M:%SZ'): Listening for Jobs"
sleep 86400 &
wait
`;

/** @param directory `runner.dir` of the MIGlet */
export function installIdleRunner(directory: string): void {
  mkdirSync(path.join(directory, 'bin'), { recursive: true });
  writeScript(path.join(directory, 'config.sh'), CONFIGURE);
  writeScript(path.join(directory, 'bin', 'Runner.Listener'), LISTEN);
}

function writeScript(file: string, text: string): void {
  writeFileSync(file, text);
  chmodSync(file, 0o755);
}
