#!/usr/bin/env node
// The command that npm links as `migctl`. It is not compiled, so that it exists before the first build.
import { existsSync } from 'node:fs';

const entry = new URL('../dist/main.js', import.meta.url);
if (!existsSync(entry)) {
  console.error('migctl: not built yet. Run `npm run setup` in the project folder, then try again.');
  process.exit(1);
}
await import(entry.href);
