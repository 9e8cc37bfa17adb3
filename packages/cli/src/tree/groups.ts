import type { Command } from 'commander';

/** A command that others belong to (`get`, `cancel`), made before. @throws Error if there is none */
export function groupOf(program: Command, name: string): Command {
  const group = program.commands.find((command) => command.name() === name);
  if (group === undefined) throw new Error(`there is no command ${name} to add to`);
  return group;
}
