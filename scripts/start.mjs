// `npm start`: makes the working copy ready, then runs the demo: a controller, a stand-in GitHub and MIGlets with stand-in
// runners, each a process of its own. Flags are the demo's: `npm start -- --help`.
import { setUp } from './setup.mjs';

setUp({ quiet: true });
await import('../packages/testkit/dist/demo/main.js');
