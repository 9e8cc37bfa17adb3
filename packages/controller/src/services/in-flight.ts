/** What was taken from peers and is not yet stored or answered. */
export interface InFlight {
  track<T>(work: Promise<T>): Promise<T>;
  /** Resolves when all that is tracked now has ended, well or not. */
  settled(): Promise<void>;
}

export function createInFlight(): InFlight {
  const underWay = new Set<Promise<unknown>>();
  return {
    track(work) {
      const done: Promise<unknown> = work.then(
        () => underWay.delete(done),
        () => underWay.delete(done),
      );
      underWay.add(done);
      return work;
    },
    async settled() {
      await Promise.all(underWay);
    },
  };
}
