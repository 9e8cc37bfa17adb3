// Makes one file of each program that goes onto other machines: packages/*/bundle/*.mjs. Needs Node and nothing else there.
// Beside each, *.test-points.mjs: the same with the hooks of packages/common/src/test-points.ts, which production lacks.
// `npm run setup` runs it after compiling.
import { chmodSync } from 'node:fs';
import { build } from 'esbuild';

/** What CommonJS packages expect to find, in an ES module. */
const BANNER = [
  "import { createRequire as createRequire__ } from 'node:module';",
  "import { fileURLToPath as fileURLToPath__ } from 'node:url';",
  'const require = createRequire__(import.meta.url);',
  'const __filename = fileURLToPath__(import.meta.url);',
  "const __dirname = fileURLToPath__(new URL('.', import.meta.url));",
].join('\n');

for (const name of ['miglet', 'controller']) {
  const directory = `packages/${name}`;
  const common = {
    entryPoints: [`${directory}/dist/main.js`],
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    banner: { js: BANNER },
    logLevel: 'error',
  };
  const production = `${directory}/bundle/${name}.mjs`;
  const withTestPoints = `${directory}/bundle/${name}.test-points.mjs`;
  await Promise.all([
    build({
      ...common,
      outfile: production,
      // Names stay as they are: logs call errors by the names of their classes. Kept while they are made shorter, each function would
      // be given its name anew wherever it is made, which cost the controller time and the MIGlet 8 MB.
      minifyWhitespace: true,
      minifySyntax: true,
      sourcemap: 'external',
      legalComments: 'external',
      define: { MIG_TEST_POINTS: 'false' },
    }),
    build({ ...common, outfile: withTestPoints, define: { MIG_TEST_POINTS: 'true' } }),
  ]);
  for (const file of [production, withTestPoints]) chmodSync(file, 0o755);
}
