import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as z from 'zod';
import { duration, id, integer, port } from './fields.js';
import { ConfigError, leaves, loadConfig, variableName, type ConfigSources } from './load.js';

const section = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape).prefault({} as never);
/** Has every kind of value that the two real schemas have. */
const schema = z.strictObject({
  name: z.string().min(1).default('none'),
  level: z.enum(['debug', 'info']).default('info'),
  org: z.union([id(), z.literal('')]).default(''),
  labels: z.array(z.string().min(1)).default([]),
  grpc: section({
    port: port(50051),
    tls: section({ enabled: z.boolean().default(false) }),
  }),
  heartbeat: section({ interval: duration('15s', 1_000, 60_000) }),
  limits: section({ events: integer(100, 1, 1_000) }),
  pools: z.record(id(), z.strictObject({ labels: z.array(z.string()).default([]) })).default({}),
});

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'mig-config-'));
  file = path.join(directory, 'app.yaml');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const load = (sources: Partial<ConfigSources> = {}) =>
  loadConfig(schema, { envPrefix: 'APP', env: {}, ...sources });

function loadYaml(text: string, sources: Partial<ConfigSources> = {}) {
  writeFileSync(file, text);
  return load({ file, ...sources });
}

function faultsOf(action: () => unknown): string[] {
  try {
    action();
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map((fault) => fault.replaceAll(file, 'app.yaml'));
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('precedence: flags > environment > file > defaults', () => {
  const yaml = 'name: file\nlevel: debug\ngrpc:\n  port: 1\n';

  it('each source wins over the ones behind it, key by key', () => {
    const { config } = loadYaml(yaml, {
      env: { APP_NAME: 'env', APP_GRPC_PORT: '2' },
      flags: { 'grpc.port': 3, name: undefined },
    });
    expect(config).toMatchObject({
      name: 'env',
      level: 'debug',
      grpc: { port: 3 },
      heartbeat: { interval: 15_000 },
    });
  });

  it('without any source there are the defaults, also in an empty file', () => {
    const defaults = load().config;
    expect(defaults).toEqual({
      name: 'none',
      level: 'info',
      org: '',
      labels: [],
      grpc: { port: 50051, tls: { enabled: false } },
      heartbeat: { interval: 15_000 },
      limits: { events: 100 },
      pools: {},
    });
    for (const empty of ['', '# nothing\n', '---\n', '{}']) expect(loadYaml(empty).config).toEqual(defaults);
  });
});

describe('a section', () => {
  it('whose keys are all commented out has their defaults, at every depth', () => {
    expect(loadYaml('grpc:\n  tls:\nheartbeat:\n').config).toEqual(load().config);
  });

  it('that is a text or a list is a fault', () => {
    expect(() => loadYaml('grpc: [50051]\n')).toThrow(/app\.yaml:1:1 grpc/);
  });
});

describe('the environment', () => {
  it('has a name for every key', () => {
    const names = leaves(schema).map((leaf) => variableName('APP', leaf.path));
    expect(names).toEqual([
      'APP_NAME',
      'APP_LEVEL',
      'APP_ORG',
      'APP_LABELS',
      'APP_GRPC_PORT',
      'APP_GRPC_TLS_ENABLED',
      'APP_HEARTBEAT_INTERVAL',
      'APP_LIMITS_EVENTS',
      'APP_POOLS',
    ]);
  });

  it.each<[string, string, unknown]>([
    ['APP_NAME', '12', { name: '12' }],
    ['APP_NAME', 'true', { name: 'true' }],
    ['APP_NAME', 'a: b', { name: 'a: b' }],
    ['APP_ORG', '123', { org: '123' }],
    ['APP_GRPC_PORT', '0', { grpc: { port: 0 } }],
    ['APP_GRPC_TLS_ENABLED', 'true', { grpc: { tls: { enabled: true } } }],
    ['APP_HEARTBEAT_INTERVAL', '1m', { heartbeat: { interval: 60_000 } }],
    ['APP_LABELS', 'gpu, large ,', { labels: ['gpu', 'large'] }],
    ['APP_LABELS', '', { labels: [] }],
    ['APP_LABELS', '["a, b", c]', { labels: ['a, b', 'c'] }],
    ['APP_LABELS', '1,2', { labels: ['1', '2'] }],
    ['APP_POOLS', '{a: {labels: [x]}}', { pools: { a: { labels: ['x'] } } }],
  ])('%s=%j', (name, text, expected) => {
    expect(load({ env: { [name]: text } }).config).toMatchObject(expected as object);
  });

  it('names its variables that belong to no key; others are none of its business', () => {
    const { unknownVariables } = load({ env: { APP_GRCP_PORT: '1', APP_NAME: 'x', APPLE: '1', HOME: '/' } });
    expect(unknownVariables).toEqual(['APP_GRCP_PORT']);
  });
});

describe('a wrong value is named with its place, key, value and what is allowed', () => {
  it('all faults at once, whatever their source', () => {
    const yaml = 'name: 5\ngrpc:\n  port: 70000\n  tls:\n    enabled: maybe\nheartbeat:\n  interval: soon\n';
    const faults = faultsOf(() =>
      loadYaml(yaml, { env: { APP_LEVEL: 'loud', APP_LIMITS_EVENTS: 'many' }, flags: { labels: 7 } }),
    );
    expect(faults).toEqual([
      expect.stringMatching(/^app\.yaml:1:1 name: .*string.*, got 5$/),
      expect.stringMatching(/^APP_LEVEL \(level\): .*"debug"\|"info", got "loud"$/),
      expect.stringMatching(/^--labels: .*array.*, got 7$/),
      'app.yaml:3:3 grpc.port: expected a port from 0 to 65535, got 70000',
      expect.stringMatching(/^app\.yaml:5:5 grpc\.tls\.enabled: .*boolean.*, got "maybe"$/),
      'app.yaml:7:3 heartbeat.interval: expected a duration from 1s to 1m, such as 15s, got "soon"',
      'APP_LIMITS_EVENTS (limits.events): expected a whole number from 1 to 1000, got "many"',
    ]);
  });

  it.each<[string, RegExp]>([
    ['heartbeat: { interval: 30 }', /^app\.yaml:1:14 heartbeat\.interval: expected a duration .*, got 30$/],
    ['heartbeat: { interval: 2m }', /expected a duration from 1s to 1m, such as 15s, got "2m"$/],
    ['limits: { events: 1.5 }', /expected a whole number from 1 to 1000, got 1\.5$/],
    ['limits: { events: .nan }', /expected a whole number from 1 to 1000/],
    ['org: ../x', /^app\.yaml:1:1 org: expected 1 to 63 of a-z .*, got "\.\.\/x"$/],
    ['pools:\n  "a/b": {}', /^app\.yaml:2:3 pools\.a\/b: expected 1 to 63 of a-z/],
    ['labels: [a, 5]', /^app\.yaml:1:\d+ labels\.1: .*string.*, got 5$/],
    ['grpc: 5', /^app\.yaml:1:1 grpc: .*object.*, got 5$/],
  ])('%s', (yaml, fault) => expect(faultsOf(() => loadYaml(yaml))).toEqual([expect.stringMatching(fault)]));

  it('a fault inside a value from the environment names the variable', () => {
    const faults = faultsOf(() => load({ env: { APP_POOLS: '{a: {labels: 5}}' } }));
    expect(faults).toEqual([expect.stringMatching(/^APP_POOLS \(pools\.a\.labels\): .*array.*, got 5$/)]);
  });

  it('a long value is cut, and its control characters are shown', () => {
    const [fault] = faultsOf(() => load({ env: { APP_GRPC_PORT: `\u001b[31m${'9'.repeat(500)}` } }));
    expect(fault?.length).toBeLessThan(250);
    expect(fault).not.toContain('\u001b');
  });
});

describe('unknown keys', () => {
  it('are faults with their place and what is allowed there, also in sections and records', () => {
    const yaml = 'grcp: {}\ngrpc:\n  prot: 1\n  tls:\n    enable: true\npools:\n  a:\n    label: [x]\n';
    const faults = faultsOf(() => loadYaml(yaml));
    expect(faults).toHaveLength(4);
    expect(faults).toContain('app.yaml:3:3 grpc.prot: unknown key; allowed here: port, tls');
    expect(faults).toContain('app.yaml:5:5 grpc.tls.enable: unknown key; allowed here: enabled');
    expect(faults).toContain('app.yaml:8:5 pools.a.label: unknown key; allowed here: labels');
    expect(
      faults.find((fault) => fault.startsWith('app.yaml:1:1 grcp: unknown key; allowed here: name, ')),
    ).toBeDefined();
  });
});

describe('a file that is no configuration', () => {
  it.each<[string, string, RegExp]>([
    ['torn', 'name: x\ngrpc:\n  port: [1, 2\n', /^app\.yaml:\d+:\d+ /],
    ['a tab for indentation', 'grpc:\n\tport: 1\n', /^app\.yaml:2:1 /],
    ['the same key twice', 'name: a\nlevel: info\nname: b\n', /^app\.yaml:3:1 Map keys must be unique/],
    ['a list', '- a\n- b\n', /^app\.yaml:1:1 expected keys and values, got a list$/],
    ['a text', 'hello', /^app\.yaml:1:1 expected keys and values, got string$/],
    ['an alias of nothing', 'name: *nobody\n', /^app\.yaml:\d+:\d+ .*alias/i],
    [
      'a bomb of aliases',
      `a: &a [x,x]\n${'bcdefghi'.replace(/./g, (c) => `${c}: &${c} [${`*${String.fromCharCode(c.charCodeAt(0) - 1)},`.repeat(9)}]\n`)}`,
      /^app\.yaml:\d+:\d+ .*alias/i,
    ],
  ])('%s is refused with file and line', (_, text, fault) => {
    expect(faultsOf(() => loadYaml(text))[0]).toMatch(fault);
  });

  it('a file that is named and missing is refused by name', () => {
    expect(faultsOf(() => load({ file }))).toEqual([
      expect.stringMatching(/^app\.yaml: cannot be read \(.*ENOENT/),
    ]);
  });
});
