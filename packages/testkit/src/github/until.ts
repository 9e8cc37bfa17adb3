/** How often the condition is looked at. */
const INTERVAL_MS = 5;

/**
 * Resolves to what `condition` returns as soon as that is neither false nor undefined. Rejects after `deadlineMs`
 * (default 10 s) with a message that names `what`.
 */
export async function until<T>(
  what: string,
  condition: () => T | false | undefined | Promise<T | false | undefined>,
  deadlineMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value !== false && value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`${what}: not so after ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}
