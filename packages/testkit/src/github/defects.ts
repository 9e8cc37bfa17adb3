import { inspect } from 'node:util';

/** The stand-in itself did something that GitHub does not: whatever was tested against it proves nothing. */
export class StandInDefectError extends Error {
  readonly code = 'stand-in-defect';
  constructor(readonly defects: readonly unknown[]) {
    super(`The stand-in GitHub has ${defects.length} defects: ${defects.map(String).join(' | ')}`, {
      cause: defects[0],
    });
    this.name = 'StandInDefectError';
  }
}

export interface DefectList {
  add(error: unknown): void;
  list(): unknown[];
  /** Throws `StandInDefectError` if there is any. */
  assertNone(): void;
}

/** Each is written to standard error at once, too. */
export function createDefectList(): DefectList {
  const defects: unknown[] = [];
  return {
    add(error) {
      defects.push(error);
      process.stderr.write(`stand-in GitHub: ${inspect(error)}\n`);
    },
    list: () => [...defects],
    assertNone() {
      if (defects.length > 0) throw new StandInDefectError([...defects]);
    },
  };
}
