import type { MigletConfig } from './config.js';
import type { MachineLimits, Settings } from './machine/types.js';

/** To end what took too long, and to say so. */
const CONFIGURE_MARGIN_MS = 15_000;
const DEREGISTER_RETRY_MS = 5_000;
/** Whoever forces a VM out of service does not wait for GitHub for longer. */
const FORCED_PATIENCE_MS = 30_000;

/** The machine's times and limits: what the configuration says, and what nobody has needed to change. */
export const limitsOf = (config: MigletConfig): MachineLimits => ({
  announceBackoff: { firstMs: config.controller.reconnect_first, maxMs: config.controller.reconnect_max },
  reconnectBackoff: { firstMs: config.controller.reconnect_first, maxMs: config.controller.reconnect_max },
  registrationBackoff: { firstMs: config.registration.retry_first, maxMs: config.registration.retry_max },
  minimumUptimeMs: config.controller.minimum_uptime,
  connectTimeoutMs: 15_000,
  // Each has its own, which says what was slow; this one is for what hangs nevertheless.
  configureTimeoutMs:
    config.runner.configure_timeout +
    (config.runner.install ? config.runner.install_timeout : 0) +
    CONFIGURE_MARGIN_MS,
  startTimeoutMs: config.runner.start_timeout,
  stableReadyMs: 60_000,
  maxRegistrationFailures: config.registration.max_failures,
  deregisterTimeoutMs: 30_000,
  deregisterRetryMs: DEREGISTER_RETRY_MS,
  maxDeregisterFailures: Math.max(1, Math.ceil(config.runner.deregister_patience / DEREGISTER_RETRY_MS)),
  maxForcedDeregisterFailures: Math.ceil(FORCED_PATIENCE_MS / DEREGISTER_RETRY_MS),
  maxClearFailures: 3,
  lingerRetryMs: 60_000,
  stopGraceMs: config.runner.stop_grace,
  flushTimeoutMs: 10_000,
  fenceAfterMs: config.controller.fence_after,
});

export const settingsOf = (config: MigletConfig): Settings => ({
  heartbeatIntervalMs: config.heartbeat.interval,
  drainDeadlineMs: config.drain.deadline,
  labels: config.runner.labels,
});
