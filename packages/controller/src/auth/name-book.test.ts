/** What is remembered of VMs' names: durable, bounded, and read again after any crash. */
import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { silentLogger } from '@mig/common/logger';
import { openNameBook, type Joined, type NameBook, type Released } from './name-book.js';

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'mig-names-'));
  file = path.join(directory, '.auth', 'names.jsonl');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const open = (maxNames?: number): Promise<NameBook> =>
  openNameBook(file, { logger: silentLogger }, maxNames === undefined ? {} : { maxNames });
const joined = (vmId: string, bootId = 'boot-1'): Joined => ({
  vmId,
  poolId: 'linux',
  bootId,
  address: '10.0.0.7',
});
const released = (vmId: string, epoch = 'e1'): Released => ({
  vmId,
  epoch,
  at: 1,
  lives: [{ bootId: 'boot-1', poolId: 'linux' }],
});

describe('the book of names', () => {
  it('is read again as it was: the newest of a name counts, and a release takes the place of a join', async () => {
    const book = await open();
    book.join(joined('vm-1'));
    book.join(joined('vm-1', 'boot-2'));
    book.join(joined('vm-2'));
    await book.release(released('vm-2'));
    await book.release(released('vm-3'));
    book.join(joined('vm-3', 'boot-2'));
    await book.close();
    const again = await open();
    expect(again.joined('vm-1')).toEqual(joined('vm-1', 'boot-2'));
    expect([again.joined('vm-2'), again.released('vm-2')]).toEqual([undefined, released('vm-2')]);
    expect([again.joined('vm-3'), again.released('vm-3')]).toEqual([
      joined('vm-3', 'boot-2'),
      released('vm-3'),
    ]);
  });

  it('has a release on disk when that is answered', async () => {
    const book = await open();
    await book.release(released('vm-1'));
    expect(await readFile(file, 'utf8')).toContain('"epoch":"e1"');
  });

  it('forgets what is not to be kept, and does not remember it after a restart', async () => {
    const book = await open();
    book.join(joined('vm-1'));
    book.join(joined('vm-2'));
    await book.release(released('vm-3'));
    book.forget({ joined: ({ vmId }) => vmId === 'vm-2', released: () => false });
    await book.close();
    const again = await open();
    expect([again.joined('vm-1'), again.joined('vm-2'), again.released('vm-3')]).toEqual([
      undefined,
      joined('vm-2'),
      undefined,
    ]);
  });

  it('after a crash leaves out a torn end, and what is written next is read again', async () => {
    const book = await open();
    await book.release(released('vm-1'));
    book.join(joined('vm-2'));
    await book.close();
    await truncate(file, (await readFile(file)).length - 5);
    const torn = await open();
    expect([torn.released('vm-1'), torn.joined('vm-2')]).toEqual([released('vm-1'), undefined]);
    torn.join(joined('vm-4'));
    await torn.close();
    expect((await open()).joined('vm-4')).toEqual(joined('vm-4'));
  });

  it('that is damaged before its end is not used: a release might be forgotten', async () => {
    const book = await open();
    await book.release(released('vm-1'));
    await book.close();
    await appendFile(file, `${'\0'.repeat(20)}\n${JSON.stringify({ join: joined('vm-2') })}\n`);
    await expect(open()).rejects.toMatchObject({ code: 'bad-name-file' });
  });

  it('has so many names at most: the oldest joins go, and a release too many is refused', async () => {
    const book = await open(2);
    for (const vmId of ['vm-1', 'vm-2', 'vm-3']) book.join(joined(vmId));
    expect([book.joined('vm-1'), book.joined('vm-3')]).toEqual([undefined, joined('vm-3')]);
    await book.release(released('vm-1'));
    await book.release(released('vm-2'));
    await expect(book.release(released('vm-3'))).rejects.toMatchObject({ code: 'too-many-releases' });
    await book.release(released('vm-2', 'e2'));
    await book.close();
  });

  it('does not grow with every join: what is of the past is left out', async () => {
    const book = await open();
    for (let count = 0; count < 25_000; count += 1) book.join(joined('vm-1', `boot-${count}`));
    await book.close();
    book.join(joined('vm-1', 'last'));
    await book.close();
    const again = await open();
    again.join(joined('vm-2'));
    await again.close();
    expect((await readFile(file, 'utf8')).split('\n').length).toBeLessThan(5);
    expect(again.joined('vm-1')).toEqual(joined('vm-1', 'last'));
  });

  it('whose disk takes nothing refuses a release, keeps it in memory, and writes it when it can', async () => {
    const book = await open();
    await writeFile(path.join(directory, '.auth'), 'no folder');
    await expect(book.release(released('vm-1'))).rejects.toMatchObject({ code: 'store-unavailable' });
    expect(book.released('vm-1')).toEqual(released('vm-1'));
    await rm(path.join(directory, '.auth'));
    await book.release(released('vm-2'));
    expect((await open()).released('vm-1')).toEqual(released('vm-1'));
  });
});
