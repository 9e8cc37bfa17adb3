import { describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { readCommandLine } from './command-line.js';
import { port } from './fields.js';

const PROGRAM = {
  name: 'program',
  help: 'Usage: program\n',
  envPrefix: 'PROGRAM',
  schema: z.strictObject({ id: z.string().default('none'), port: port(1) }),
  flags: { 'the-id': 'id', port: 'port' },
};

function read(...args: string[]) {
  const said = { out: '', err: '' };
  const line = readCommandLine(PROGRAM, {
    args,
    env: { PROGRAM_PORT: '7' },
    stdout: { write: (text: string) => (said.out += text) },
    stderr: { write: (text: string) => (said.err += text) },
  });
  return { line, ...said };
}

describe('a command line', () => {
  it('that is good gives the configuration, flags before environment, each of the type that its key wants', () => {
    expect(read('--the-id', '123').line).toMatchObject({ kind: 'run', config: { id: '123', port: 7 } });
    expect(read('--port', '8').line).toMatchObject({ kind: 'run', config: { port: 8 } });
  });

  it('that asks for help or the version gets it, and the program ends well', () => {
    expect(read('--help')).toMatchObject({ line: { kind: 'exit', code: 0 }, out: PROGRAM.help, err: '' });
    expect(read('--version').out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('that has an unknown flag is refused with the usage', () => {
    const { line, err } = read('--bogus');
    expect(line).toEqual({ kind: 'exit', code: 2 });
    expect(err).toContain('--bogus');
    expect(err).toContain(PROGRAM.help);
  });

  it('that has a wrong value is refused, naming the flag as it was written', () => {
    const { line, err } = read('--port', 'abc');
    expect(line).toEqual({ kind: 'exit', code: 2 });
    expect(err).toBe('program: --port: expected a port from 0 to 65535, got "abc"\n');
  });
});
