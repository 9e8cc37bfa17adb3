/** Which commands and images a VM lets be run. */
import type { TaskWork } from '@mig/common/domain/task';

export interface AllowList {
  /** In a command, `*` stands for any text without a character that means something to the shell. */
  readonly commands: readonly string[];
  /** In an image, `*` stands for any text. */
  readonly images: readonly string[];
}

/** What the shell does not take for itself: a `*` cannot be made to run a second command. */
const HARMLESS = '[A-Za-z0-9 _./:,@%+=^-]*';

/** Why the work is refused, or undefined. With no list, all is allowed; with one, what neither names is refused. */
export function refusalOf(work: TaskWork, { commands, images }: AllowList): string | undefined {
  if (commands.length === 0 && images.length === 0) return undefined;
  if (work.kind === 'shell') {
    return commands.some((pattern) => matches(pattern, work.cmd, HARMLESS))
      ? undefined
      : 'this VM does not allow the command: tasks.allow_commands of its MIGlet lists those that it does';
  }
  const { operation } = work;
  if (!('image' in operation)) return undefined;
  return images.some((pattern) => matches(pattern, operation.image, '.*'))
    ? undefined
    : `this VM does not allow the image ${operation.image}: tasks.allow_images of its MIGlet lists those that it does`;
}

function matches(pattern: string, text: string, wildcard: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join(wildcard)}$`, 's').test(text);
}
