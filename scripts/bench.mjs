// `npm run bench`: measures the controller beside bare servers (docs/performance.md). Makes the working copy ready first. Flags:
// `npm run bench -- --help`.
import { setUp } from './setup.mjs';

setUp({ quiet: true });
await import('../packages/testkit/dist/bench/main.js');
