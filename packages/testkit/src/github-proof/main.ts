/** `npm run github-proof`. Exit codes: 0 every promise held, 1 one did not or a part did not come to its end, 2 wrong flags. */
import { runParts } from '../reliability/harness.js';
import type { Part } from '../reliability/part.js';
import { livesPart } from './lives-part.js';
import { PROOF_HELP, readProofOptions, type PartName, type ProofOptions } from './options.js';
import { racesPart } from './races-part.js';
import { secretsPart } from './secrets-part.js';

const PARTS: Readonly<Record<PartName, Part<ProofOptions>>> = {
  lives: livesPart,
  races: racesPart,
  secrets: secretsPart,
};

async function main(): Promise<number> {
  const reading = readProofOptions(process.argv.slice(2));
  switch (reading.kind) {
    case 'help':
      process.stdout.write(PROOF_HELP);
      return 0;
    case 'refused':
      for (const fault of reading.faults) process.stderr.write(`github-proof: ${fault}\n`);
      process.stderr.write('github-proof: "npm run github-proof -- --help" lists the flags\n');
      return 2;
    case 'run':
      return runParts(
        reading.options.only.map((name) => PARTS[name]),
        reading.options,
      );
  }
}

process.exitCode = await main();
process.exit();
