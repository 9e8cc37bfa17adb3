/** config/miglet.yaml is the documentation of the configuration: it must say what the schema says. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { leaves, loadConfig } from '@mig/common/config/load';
import { migletConfigSchema } from './config.js';

const FILE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../config/miglet.yaml');
const schema = migletConfigSchema('vm');
const load = (file?: string) =>
  loadConfig(schema, { envPrefix: 'X', env: {}, ...(file === undefined ? {} : { file }) }).config;

describe('config/miglet.yaml', () => {
  test('when it is loaded as it is, it gives the defaults', () => {
    expect(load(FILE)).toEqual(load());
  });

  test('when the schema has a key, the sample has it too, with a comment above it', () => {
    const lines = readFileSync(FILE, 'utf8').split('\n');
    for (const { path: keyPath } of leaves(schema)) {
      const key = keyPath.at(-1) ?? '';
      const indent = '  '.repeat(keyPath.length - 1);
      const at = lines.findIndex(
        (line) => line.startsWith(`${indent}${key}:`) || line.startsWith(`# ${key}:`),
      );
      expect({ key: keyPath.join('.'), found: at >= 0 }).toEqual({ key: keyPath.join('.'), found: true });
      expect({ key: keyPath.join('.'), above: lines[at - 1] }).toEqual({
        key: keyPath.join('.'),
        above: expect.stringMatching(/^\s*#/),
      });
    }
  });
});

describe('controller.fence_after', () => {
  const fenceAfter = (text: string): unknown =>
    schema.safeParse({ controller: { fence_after: text } }).data?.controller.fence_after;

  test('when it is neither 0s nor at least 30s, it is refused: a stream that breaks must not drain its VM', () => {
    expect(['0s', '30s', '10m', '7d'].map(fenceAfter)).toEqual([0, 30_000, 600_000, 7 * 86_400_000]);
    expect(['1s', '29s', '8d', 'soon'].map(fenceAfter)).toEqual([undefined, undefined, undefined, undefined]);
  });
});
