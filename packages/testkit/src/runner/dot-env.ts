import { readFileSync } from 'node:fs';
import path from 'node:path';

/**
 * The runner's `.env`: lines `NAME=value`, which win over what the process inherited (actions/runner
 * src/Runner.Listener/Program.cs, `LoadAndSetEnv`). A folder without the file is fine.
 */
export function loadDotEnv(root: string, env: NodeJS.ProcessEnv): void {
  let text: string;
  try {
    text = readFileSync(path.join(root, '.env'), 'utf8');
  } catch {
    return;
  }
  for (const line of text.split('\n')) {
    const separator = line.indexOf('=');
    if (separator > 0 && !line.startsWith('#')) env[line.slice(0, separator)] = line.slice(separator + 1);
  }
}
