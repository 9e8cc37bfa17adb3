/**
 * How V8 compiles this program and collects its garbage; docs/performance.md has what each gave.
 *
 * The code is broad: a fleet that connects, or a drain, runs hundreds of functions a few thousand times each, for a few seconds.
 * With V8's own budget for putting functions into each other (920 bytes of bytecode) a quarter of the processor went to the
 * compiler then; with this one it is a tenth of the time less, and what runs for long, such as heartbeats, a twentieth more.
 *
 * The old part of the heap may grow to two and a half times of what lived in it before all of it is collected again. V8 itself would
 * do that after every fifth, also while thousands of VMs come at once, whose records stay.
 */
import { setFlagsFromString } from 'node:v8';

/** To be called once, before anything is hot. Of a flag that it does not know V8 says so on stderr, and goes on. */
export function setUpV8(): void {
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=250');
  setFlagsFromString('--max-inlined-bytecode-size=120');
  setFlagsFromString('--heap-growing-percent=150');
}
