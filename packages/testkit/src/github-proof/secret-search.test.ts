import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createSecretSearch } from './secret-search.js';

const SECRET = 'ghs_4fT/9k"2mQ+zX7uW1rPvB8nL0cYdEaHs';
const search = createSecretSearch(
  new Map([
    [SECRET, 'token'],
    ['short!', 'password'],
  ]),
);

describe('the search for secrets', () => {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  it.each([
    ['as it is', SECRET],
    ['16 characters from the middle of it', `…${SECRET.slice(9, 25)}…`],
    ['in JSON, in a text of JSON', JSON.stringify({ message: `failed with ${SECRET}` })],
    ['in a URL', `?token=${encodeURIComponent(SECRET)}`],
    ['in base64', base64(SECRET)],
    ['in base64, behind something', base64(`Basic x:${SECRET}`)],
    ['in base64, behind something else', base64(`Basic xy:${SECRET}`)],
    ['in base64 of a URL', Buffer.from(`x-access-token:${SECRET}`).toString('base64url')],
    ['a part of it in base64', base64(SECRET).slice(5, 21)],
  ])('finds it %s', (_, text) => {
    expect(search.findIn(`one line\n${text}\nanother`)).toEqual(['token']);
  });

  it('finds a short one only whole', () => {
    expect(search.findIn('a short!')).toEqual(['password']);
    expect(search.findIn('a short')).toEqual([]);
  });

  it('finds nothing where there is nothing', () => {
    expect(
      search.findIn(
        `${SECRET.slice(0, 15)} ${SECRET.slice(16, 31)} ${base64('another text of some length')}`,
      ),
    ).toEqual([]);
  });

  describe('in files', () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(path.join(tmpdir(), 'secret-search-'));
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    it('looks into all of them but those where secrets belong', () => {
      mkdirSync(path.join(folder, 'below'));
      const leak = path.join(folder, 'below', 'events.jsonl');
      writeFileSync(leak, JSON.stringify({ reason: SECRET }));
      writeFileSync(path.join(folder, 'key'), SECRET);
      expect(search.findBelow(folder, new Set([path.join(folder, 'key')]))).toEqual([
        `${leak} holds a part of a token`,
      ]);
    });
  });
});
