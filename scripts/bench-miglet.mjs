// `npm run bench:miglet`: measures the bundled MIGlet (docs/performance.md). Makes the working copy ready first. Flags:
// `npm run bench:miglet -- --help`.
import { setUp } from './setup.mjs';

setUp({ quiet: true });
await import('../packages/testkit/dist/bench/miglet/main.js');
