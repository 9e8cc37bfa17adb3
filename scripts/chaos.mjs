// `npm run chaos`: makes the working copy ready, then breaks a fleet on purpose and checks that it keeps its promises. Flags:
// `npm run chaos -- --help`.
import { setUp } from './setup.mjs';

setUp({ quiet: true });
await import('../packages/testkit/dist/chaos/main.js');
