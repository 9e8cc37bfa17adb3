/** What a server's probe is asked, and what it says. One question at a time. */
export interface ProbeRequest {
  /** `look`: only answer. `resetDelay`: the delay counts from now. `collectGarbage`: what is left is what is used. */
  readonly probe: 'look' | 'resetDelay' | 'collectGarbage';
}

export interface ProbeAnswer {
  /** On the heap of V8 and, of its objects, outside of it. */
  readonly heapBytes: number;
  /** Of the event loop, since it was reset. */
  readonly delayP99Ms: number;
}
