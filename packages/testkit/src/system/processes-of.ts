import { readFileSync, readdirSync } from 'node:fs';

/** Processes (but this one) that were started for a directory: its name is in their arguments or environment (Linux: by /proc). */
export function processesOf(directory: string, text = ''): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      const commandLine = read(pid, 'cmdline');
      return commandLine.includes(text) && (commandLine + read(pid, 'environ')).includes(directory);
    })
    .map(Number);
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // it ended, or is not ours
  }
}
