/** What every path in a directory begins with, as `path.join` writes it: `data/` of `./data`, nothing of `.`. A name is put right behind it. */
import path from 'node:path';

const NAME = 'x';

export const prefixOf = (directory: string): string => path.join(directory, NAME).slice(0, -NAME.length);
