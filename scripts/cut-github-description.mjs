// Cuts GitHub's REST description down to what a controller of runners asks for, for packages/testkit/data/github.
//
//   npm pack @octokit/openapi@23.0.2 && tar xzf octokit-openapi-*.tgz
//   node scripts/cut-github-description.mjs package/generated > packages/testkit/data/github/rest-api.json
//
// What is kept: the operations below, and every component that they refer to. What is dropped: examples, prose about
// whole operations, media types other than JSON. What is changed:
//
// - `nullable` beside a `$ref`, `allOf` or `anyOf`, which JSON Schema's validators refuse, becomes `anyOf: [it, null]`;
// - `nullable` beside an `enum` without null has it (the conclusion of a job that runs);
// - the account of an installation on the list of installations, which by the description would have to be a user and an
//   enterprise at once (`allOf`), is one of them (`anyOf`), as everywhere else in it.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';

const KEPT = {
  'api.github.com.json': [
    /^\/app$/,
    /^\/app\/hook\//,
    /^\/app\/installations(\/\{installation_id\}(\/access_tokens)?)?$/,
    /^\/app-manifests\/\{code\}\/conversions$/,
    /^\/(orgs\/\{org\}|repos\/\{owner\}\/\{repo\})\/installation$/,
    /^\/(orgs\/\{org\}|repos\/\{owner\}\/\{repo\})\/actions\/runners(\/|$)/,
    /^\/orgs\/\{org\}\/actions\/permissions\/self-hosted-runners$/,
    /^\/orgs\/\{org\}\/actions\/runner-groups(\/\{runner_group_id\}(\/runners)?)?$/,
    /^\/(orgs\/\{org\}|repos\/\{owner\}\/\{repo\})\/hooks(\/\{hook_id\}\/deliveries.*)?$/,
    /^\/repos\/\{owner\}\/\{repo\}\/actions\/jobs\/\{job_id\}(\/rerun)?$/,
    /^\/repos\/\{owner\}\/\{repo\}\/actions\/runs$/,
    /^\/repos\/\{owner\}\/\{repo\}\/actions\/runs\/\{run_id\}(\/(jobs|cancel|force-cancel|rerun|rerun-failed-jobs))?$/,
    /^\/repos\/\{owner\}\/\{repo\}\/actions\/runs\/\{run_id\}\/attempts\/\{attempt_number\}\/jobs$/,
    /^\/rate_limit$/,
    /^\/user\/installations$/,
  ],
  // enterprises are in the description of Enterprise Cloud only
  'ghec.json': [
    /^\/enterprises\/\{enterprise\}\/actions\/runners(?!\/deprecations)(\/|$)/,
    /^\/enterprises\/\{enterprise\}\/actions\/runner-groups(\/\{runner_group_id\}(\/runners)?)?$/,
  ],
};

/** Operations of kept paths that are left out: nobody here changes groups, hooks or runs in these ways. */
const LEFT_OUT = new Set([
  'actions/create-self-hosted-runner-group-for-org',
  'actions/update-self-hosted-runner-group-for-org',
  'actions/set-self-hosted-runners-in-group-for-org',
  'actions/set-self-hosted-runners-permissions-organization',
  'actions/delete-workflow-run',
  'apps/delete-installation',
  'enterprise-admin/create-self-hosted-runner-group-for-enterprise',
  'enterprise-admin/update-self-hosted-runner-group-for-enterprise',
  'enterprise-admin/delete-self-hosted-runner-group-from-enterprise',
  'enterprise-admin/set-self-hosted-runners-in-group-for-enterprise',
  'orgs/list-webhooks',
  'repos/list-webhooks',
]);

const DROPPED_OF_OPERATIONS = ['description', 'externalDocs', 'x-octokit'];
const [folder] = process.argv.slice(2);
if (folder === undefined) {
  process.stderr.write(
    'cut-github-description: name the folder "generated" of the package @octokit/openapi\n',
  );
  process.exit(2);
}

const cut = { paths: {}, components: {} };
let version = '';
for (const [file, patterns] of Object.entries(KEPT)) {
  const whole = JSON.parse(readFileSync(path.join(folder, file), 'utf8'));
  version = whole.info.version;
  for (const [name, methods] of Object.entries(whole.paths)) {
    if (patterns.some((pattern) => pattern.test(name))) keepPath(whole, name, methods);
  }
}
const account =
  cut.paths['/app/installations'].get.responses['200'].content['application/json'].schema.items.properties
    .account;
for (const option of account.anyOf) {
  if (option.allOf === undefined) continue;
  option.anyOf = option.allOf;
  delete option.allOf;
}

const description = {
  openapi: '3.0.3',
  info: {
    title: "GitHub's REST description: runners, jobs, Apps and webhook deliveries (cut)",
    version,
    license: { name: 'MIT', url: 'https://spdx.org/licenses/MIT' },
  },
  servers: [{ url: 'https://api.github.com' }],
  paths: sorted(cut.paths),
  components: sorted(
    Object.fromEntries(Object.entries(cut.components).map(([kind, all]) => [kind, sorted(all)])),
  ),
};
process.stdout.write(`${JSON.stringify(description, null, 1)}\n`);

function keepPath(whole, name, methods) {
  for (const [method, operation] of Object.entries(methods)) {
    if (LEFT_OUT.has(operation.operationId)) continue;
    const kept = { ...operation };
    for (const key of DROPPED_OF_OPERATIONS) delete kept[key];
    cut.paths[name] = { ...cut.paths[name], [method]: clean(kept) };
    keepReferred(whole, kept);
  }
}

function keepReferred(whole, value) {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (isDropped(key, inner)) continue;
    if (key === '$ref' && typeof inner === 'string') keepComponent(whole, inner);
    else keepReferred(whole, inner);
  }
}

function keepComponent(whole, reference) {
  const [, , kind, name] = reference.split('/');
  const component = whole.components[kind][name];
  const known = cut.components[kind]?.[name];
  if (known !== undefined) {
    if (isDeepStrictEqual(known, clean(component)) || kind === 'parameters') return;
    throw new Error(`${reference} differs between the descriptions`);
  }
  cut.components[kind] = { ...cut.components[kind], [name]: clean(component) };
  keepReferred(whole, component);
}

/** `examples` is also the name of nothing else in the kept part; `content` holds one schema per media type. */
function isDropped(key, value) {
  return (
    key === 'examples' || (key.startsWith('application/') && key !== 'application/json' && isMediaType(value))
  );
}

function isMediaType(value) {
  return typeof value === 'object' && value !== null && 'schema' in value;
}

function clean(value) {
  if (Array.isArray(value)) return value.map(clean);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.fromEntries(
    Object.entries(value)
      .filter(([key, inner]) => !isDropped(key, inner))
      .map(([key, inner]) => [key, clean(inner)]),
  );
  if (kept.nullable === true && Array.isArray(kept.enum) && !kept.enum.includes(null)) kept.enum.push(null);
  if (kept.nullable !== true || kept.type !== undefined) return kept;
  delete kept.nullable;
  return { anyOf: [kept, { enum: [null] }] };
}

function sorted(record) {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
