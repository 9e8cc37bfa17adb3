/** Archives that want to write, or point, outside of the folder that they are unpacked in. */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { installStandInRunner } from '@mig/testkit/runner/install';
import { createInstallGround, type InstallGround } from './install-ground.contract.js';

let ground: InstallGround;

beforeEach(async () => {
  ground = await createInstallGround();
});
afterEach(() => ground.close());

describe('an archive that reaches outside of its folder is not unpacked:', () => {
  /** One entry of a tar archive (POSIX ustar), as no honest tool would make it. */
  function entry(name: string, type: string, link = '', content = ''): Buffer {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000755\0', 100);
    header.write('0000000\0', 108);
    header.write('0000000\0', 116);
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        ', 148);
    header.write(type, 156);
    header.write(link, 157);
    header.write('ustar\x0000', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
    body.write(content);
    return Buffer.concat([header, body]);
  }
  const FILE = '0';
  const HARD_LINK = '1';
  const LINK = '2';
  const DEVICE = '3';
  const FOLDER = '5';
  const PIPE = '6';

  it.each([
    ['by its name', [entry('../../escaped', FILE, '', 'x')]],
    ['by an absolute name', [entry('/tmp/mig-escaped', FILE, '', 'x')]],
    ['by a link', [entry('out', LINK, '../..'), entry('out/escaped', FILE, '', 'x')]],
    ['by an absolute link', [entry('out', LINK, '/tmp')]],
    ['by a hard link', [entry('passwd', HARD_LINK, '/etc/passwd')]],
    ['by a hard link upwards', [entry('passwd', HARD_LINK, '../../../../etc/passwd')]],
    [
      'by a link through a link',
      [
        entry('a', FOLDER),
        entry('a/b', FOLDER),
        entry('a/b/up', LINK, '../..'),
        entry('out', LINK, 'a/b/up/../..'),
      ],
    ],
    ['with a device', [entry('null', DEVICE)]],
    ['with a pipe', [entry('pipe', PIPE)]],
  ])('%s', async (_, entries) => {
    ground.server.archive = Buffer.concat([...entries, Buffer.alloc(1024)]);
    ground.answer.body = ground.offered();
    expect(await ground.install()).toMatchObject({
      kind: 'fatal',
      reason: expect.stringMatching(/reaches outside|leads outside|neither file, folder nor link/),
    });
    expect(ground.beside()).toEqual([]);
    expect(existsSync(path.join(ground.folder, 'escaped'))).toBe(false);
    expect(existsSync('/tmp/mig-escaped')).toBe(false);
  });

  it('but links within it are taken, as the runner has them', async () => {
    ground.server.archive = await ground.pack((place) => {
      installStandInRunner(place);
      mkdirSync(path.join(place, 'externals/node20/bin'), { recursive: true });
      writeFileSync(path.join(place, 'externals/node20/npm-cli.js'), 'x');
      symlinkSync('../npm-cli.js', path.join(place, 'externals/node20/bin/npm'));
    });
    ground.answer.body = ground.offered();
    expect(await ground.install()).toMatchObject({ kind: 'ok' });
    expect(readFileSync(path.join(ground.directory, 'externals/node20/bin/npm'), 'utf8')).toBe('x');
  });
});
