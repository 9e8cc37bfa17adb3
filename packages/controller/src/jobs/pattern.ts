/**
 * Regular expressions of submitters, tried on what nodes say of themselves: neither is trusted to be quick. Each pair is tried
 * once and remembered, and a pattern that takes too long matches nothing from then on.
 */
import vm from 'node:vm';

/** One try may take so long; a pattern of good will takes microseconds. */
const TRY_MS = 20;
/** Pairs, and slow patterns, that are remembered (I12); beyond it all are forgotten. */
const MAX_REMEMBERED = 20_000;

const context = vm.createContext({});
const script = new vm.Script('pattern.test(value)');
const results = new Map<string, boolean>();
const slow = new Set<string>();

/** Does the text match? False also if that cannot be found out in time. @param source a regular expression that is valid */
export function matches(source: string, value: string): boolean {
  if (slow.has(source)) return false;
  const key = `${source}\n${value}`;
  const known = results.get(key);
  if (known !== undefined) return known;
  if (results.size >= MAX_REMEMBERED) results.clear();
  const result = tryOnce(source, value);
  results.set(key, result);
  return result;
}

function tryOnce(source: string, value: string): boolean {
  Object.assign(context, { pattern: new RegExp(source), value });
  try {
    return script.runInContext(context, { timeout: TRY_MS }) === true;
  } catch {
    if (slow.size >= MAX_REMEMBERED) slow.clear();
    slow.add(source);
    return false;
  }
}
