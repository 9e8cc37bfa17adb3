/** `npm run reliability`. Exit codes: 0 every promise held, 1 one did not or a part did not come to its end, 2 wrong flags. */
import { commandsPart } from './commands-part.js';
import { deadlinePart } from './deadline-part.js';
import { drainPart } from './drain-part.js';
import { effectsPart } from './effects-part.js';
import { runParts } from './harness.js';
import { RELIABILITY_HELP, readReliabilityOptions, type PartName } from './options.js';
import type { Part } from './part.js';
import { recoveryPart } from './recovery-part.js';
import { stormPart } from './storm-part.js';

const PARTS: Readonly<Record<PartName, Part>> = {
  commands: commandsPart,
  drain: drainPart,
  deadline: deadlinePart,
  effects: effectsPart,
  recovery: recoveryPart,
  storm: stormPart,
};

async function main(): Promise<number> {
  const reading = readReliabilityOptions(process.argv.slice(2));
  switch (reading.kind) {
    case 'help':
      process.stdout.write(RELIABILITY_HELP);
      return 0;
    case 'refused':
      for (const fault of reading.faults) process.stderr.write(`reliability: ${fault}\n`);
      process.stderr.write('reliability: "npm run reliability -- --help" lists the flags\n');
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
