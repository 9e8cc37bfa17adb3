// `npm run hostile`: makes the working copy ready, then measures what a hostile VM does to the others. Flags:
// `npm run hostile -- --help`.
import { setUp } from './setup.mjs';

setUp({ quiet: true });
await import('../packages/testkit/dist/hostile/main.js');
