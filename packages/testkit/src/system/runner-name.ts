/** Whose a runner is, by its name at GitHub: `mig-k3x9f2-vm-7-0f3c9a1e`, with `-2` and so on behind it for another try. */
export interface RunnerNameParts {
  readonly vmId: string;
  /** The first 8 digits of the boot's id, without hyphens. */
  readonly boot: string;
}

const NAME = /^mig-[a-z0-9]{4,8}-(.+)-([0-9a-z]{8})(?:-[1-9][0-9]?)?$/;

/** Undefined if it is no name that a controller gives by default. */
export function parseRunnerName(name: string): RunnerNameParts | undefined {
  const [, vmId, boot] = NAME.exec(name) ?? [];
  return vmId === undefined || boot === undefined ? undefined : { vmId, boot };
}

/** Undefined if the name is none of ours. */
export const vmOfRunner = (runnerName: string): string | undefined => parseRunnerName(runnerName)?.vmId;

/** @param bootId as a MIGlet tells it */
export const isOfBoot = ({ boot }: RunnerNameParts, bootId: string): boolean =>
  bootId !== '' && bootId.replaceAll('-', '').startsWith(boot);
