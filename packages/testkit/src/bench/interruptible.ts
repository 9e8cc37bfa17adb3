/** Ctrl-C of a measurement: the first ends it in order, which is quick; a second one ends it at once. */
export function interruptible(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort(new Error(`ended by ${name}`));
    });
  }
  return controller.signal;
}
