import { describe, expect, it } from '@jest/globals';
import { createLogger } from './logger.js';

function capture() {
  const lines: string[] = [];
  const logger = createLogger({
    name: 'controller',
    bindings: { part: 'test' },
    destination: { write: (line) => void lines.push(line) },
  });
  return { logger, lines };
}

describe('the log', () => {
  it('is one JSON object per line, with level as a word and an ISO time', () => {
    const { logger, lines } = capture();
    logger.info({ vmId: 'vm-1' }, 'hello\nworld');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.trimEnd()).not.toContain('\n');
    const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
    expect(line).toMatchObject({
      name: 'controller',
      part: 'test',
      level: 'info',
      vmId: 'vm-1',
      msg: 'hello\nworld',
    });
    expect(line['time']).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  });

  it('holds no character that moves a terminal, breaks a line or turns others round, and says the same', () => {
    const { logger, lines } = capture();
    const text = 'a\u001b[2J\u009b31m\u0085\u202e\u200b\u2028\u2066\ufeff\u{e0041}\u007fz';
    logger.child({ name: text }).warn({ [text]: text }, text);
    expect(lines[0]).toMatch(/^[^\p{Cc}\p{Cf}\u2028\u2029]+\n$/u);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ msg: text, [text]: text });
  });

  it('changes its verbosity while it runs', () => {
    const { logger, lines } = capture();
    logger.debug('unseen');
    logger.level = 'debug';
    logger.debug('seen');
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['seen']);
  });

  it.each([
    'token',
    'registration_token',
    'registrationToken',
    'jit_config',
    'jitConfig',
    'authorization',
    'privateKey',
  ])('never shows a %s, at the first two levels of a line (I8)', (key) => {
    const { logger, lines } = capture();
    logger.warn({ [key]: 'S3CRET', parameters: { [key]: 'S3CRET' } }, 'x');
    logger.child({ part: 'inner' }).warn({ [key]: 'S3CRET' }, 'x');
    expect(lines.join()).not.toContain('S3CRET');
    expect(lines.join()).toContain('[redacted]');
  });
});
