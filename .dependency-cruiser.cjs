/** Imports point one way: docs/architecture.md. `npm run verify` holds it. */
const TESTS = '\\.(test|contract)\\.ts$|/e2e/';
const SOURCE = (name) => `^packages/${name}/src/`;
/** Another package is reached by its compiled files. */
const COMMON = (folder) => `^packages/common/(src|dist)/${folder}/`;
const PACKAGE = (names) => `^(packages|@mig)/(${names})(/|$)`;

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'everything-resolves', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'common-is-a-leaf',
      severity: 'error',
      from: { path: '^packages/common/', pathNot: TESTS },
      to: { path: PACKAGE('controller|miglet|cli|testkit') },
    },
    {
      name: 'programs-know-only-common',
      severity: 'error',
      from: { path: '^packages/(controller|miglet|cli)/src/', pathNot: TESTS },
      to: { path: PACKAGE('controller|miglet|cli|testkit'), pathNot: '^packages/$1/' },
    },
    {
      name: 'only-wire-knows-generated-code',
      severity: 'error',
      // Bare servers are measured with the generated code as it comes.
      from: { pathNot: [COMMON('(wire|gen)'), SOURCE('testkit') + 'bench/yardsticks/'] },
      to: { path: COMMON('gen') },
    },
    {
      name: 'the-domain-does-no-io',
      severity: 'error',
      from: {
        path: [
          SOURCE('common') + 'domain/',
          SOURCE('miglet') + 'machine/',
          SOURCE('controller') + '(fleet|commands|tasks|jobs)/',
        ],
        pathNot: TESTS,
      },
      to: {
        path: [
          '^(node:)?(fs|fs/promises|child_process|net|http|https)$',
          'node_modules/(nice-grpc|@grpc|fastify|undici|@octokit|systeminformation)',
          COMMON('(gen|wire)'),
        ],
      },
    },
    {
      name: 'the-domain-knows-no-adapter',
      severity: 'error',
      from: { path: SOURCE('controller') + '(fleet|commands|tasks|jobs)/', pathNot: TESTS },
      to: { path: SOURCE('controller') + '(services|http|github|store/file)/' },
    },
    {
      // Each takes MB of a VM's memory, and most starts need none of them: docs/performance.md.
      name: 'the-miglet-loads-large-libraries-late',
      severity: 'error',
      from: { path: SOURCE('miglet'), pathNot: TESTS },
      to: {
        path: 'node_modules/(undici|tar|systeminformation)/',
        dynamic: false,
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'the-machine-knows-no-adapter',
      severity: 'error',
      from: { path: SOURCE('miglet') + 'machine/', pathNot: TESTS },
      to: { path: SOURCE('miglet') + '(actors|controller-link|runner|host|journal)/' },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules', 'dist'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
