// `npm run github-proof`: proves what is promised of GitHub and its runners, on this machine. Makes the working copy ready
// first. Flags: `npm run github-proof -- --help`.
import { setUp } from './setup.mjs';

setUp({ quiet: true });
await import('../packages/testkit/dist/github-proof/main.js');
