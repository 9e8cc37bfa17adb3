/** `npm run hostile`. Exit codes: 0 every promise held, 1 one did not or a part did not come to its end, 2 wrong flags. */
import { runParts } from '../reliability/harness.js';
import { attackPart } from './attack-part.js';
import { fuzz } from './fuzz.js';
import { HOSTILE_HELP, readHostileOptions } from './options.js';

async function main(): Promise<number> {
  const reading = readHostileOptions(process.argv.slice(2));
  switch (reading.kind) {
    case 'help':
      process.stdout.write(HOSTILE_HELP);
      return 0;
    case 'refused':
      for (const fault of reading.faults) process.stderr.write(`hostile: ${fault}\n`);
      process.stderr.write('hostile: "npm run hostile -- --help" lists the flags\n');
      return 2;
    case 'run': {
      const { options } = reading;
      if (options.fuzz !== undefined) return fuzz(options.fuzz, options.seed);
      return runParts(options.only.map(attackPart), options);
    }
  }
}

process.exitCode = await main();
process.exit();
