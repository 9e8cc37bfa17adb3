// Makes one file of each program that goes onto other machines: packages/*/bundle/*.mjs. Needs Node and nothing else there.
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

for (const [entry, outfile] of [
  ['packages/miglet/dist/main.js', 'packages/miglet/bundle/miglet.mjs'],
  ['packages/controller/dist/main.js', 'packages/controller/bundle/controller.mjs'],
]) {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    minify: true,
    keepNames: true,
    sourcemap: 'external',
    legalComments: 'external',
    banner: { js: BANNER },
    logLevel: 'error',
  });
  chmodSync(outfile, 0o755);
}
