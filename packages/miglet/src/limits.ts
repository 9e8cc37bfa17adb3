import type { MigletConfig } from './config.js';
import type { MachineLimits, Settings } from './machine/types.js';

/** The machine's times and limits: what the configuration says, and what nobody has needed to change. */
export const limitsOf = (config: MigletConfig): MachineLimits => ({
  announceBackoff: { firstMs: config.controller.reconnect_first, maxMs: config.controller.reconnect_max },
  reconnectBackoff: { firstMs: config.controller.reconnect_first, maxMs: config.controller.reconnect_max },
  registrationBackoff: { firstMs: config.registration.retry_first, maxMs: config.registration.retry_max },
  minimumUptimeMs: config.controller.minimum_uptime,
  connectTimeoutMs: 15_000,
  configureTimeoutMs: config.runner.configure_timeout,
  startTimeoutMs: config.runner.start_timeout,
  stableReadyMs: 60_000,
  maxRegistrationFailures: config.registration.max_failures,
  deregisterTimeoutMs: 30_000,
  deregisterRetryMs: 5_000,
  maxDeregisterFailures: 3,
  stopGraceMs: config.runner.stop_grace,
  flushTimeoutMs: 10_000,
  fenceAfterMs: config.controller.fence_after,
});

export const settingsOf = (config: MigletConfig): Settings => ({
  heartbeatIntervalMs: config.heartbeat.interval,
  drainDeadlineMs: config.drain.deadline,
  labels: config.runner.labels,
});
