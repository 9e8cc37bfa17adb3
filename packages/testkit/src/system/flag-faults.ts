/** What is wrong with the flags of a program, collected: all of it is told at once, each with the flag, its value and the remedy. */

export interface FlagFaults {
  /** In the order in which they were found. */
  readonly all: readonly string[];
  /** @param allowed what to use in its place */
  refuse(flag: string, value: string, allowed: string): void;
  /** A whole number; one that is none, or out of its bounds, is refused, and `min` stands for it. */
  whole(flag: string, value: string, min: number, max: number): number;
  /** Those of `known` that are named, in their order; all, if none is. A name that is not known is refused. */
  some<T extends string>(flag: string, names: readonly string[], known: readonly T[]): readonly T[];
}

export function createFlagFaults(): FlagFaults {
  const all: string[] = [];
  const refuse = (flag: string, value: string, allowed: string): void =>
    void all.push(`--${flag} ${JSON.stringify(value)} is not valid: use ${allowed}`);
  return {
    all,
    refuse,
    whole(flag, value, min, max) {
      if (/^\d{1,15}$/.test(value) && Number(value) >= min && Number(value) <= max) return Number(value);
      refuse(flag, value, `a whole number from ${min} to ${max}`);
      return min;
    },
    some(flag, names, known) {
      for (const name of names)
        if (!(known as readonly string[]).includes(name)) refuse(flag, name, known.join(', '));
      return names.length === 0 ? known : known.filter((name) => names.includes(name));
    },
  };
}
