// `npm run reliability`: makes the figures of docs/reliability.md on this machine. Makes the working copy ready first. Flags:
// `npm run reliability -- --help`.
import { setUp } from './setup.mjs';

setUp({ quiet: true });
await import('../packages/testkit/dist/reliability/main.js');
