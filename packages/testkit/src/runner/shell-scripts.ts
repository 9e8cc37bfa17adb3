/** The two shell scripts of a runner's folder, cut down to what a supervisor can notice. */

/** actions/runner src/Misc/layoutroot/config.sh: the root check, then the listener. */
export const CONFIG_SH = `#!/bin/sh
if [ "$(id -u)" -eq 0 ] && [ -z "$RUNNER_ALLOW_RUNASROOT" ]; then
  echo "Must not run with sudo"
  exit 1
fi
cd "$(dirname "$0")" || exit 1
if [ "$1" = "remove" ]; then
  exec ./bin/Runner.Listener "$@"
fi
exec ./bin/Runner.Listener configure "$@"
`;

/**
 * actions/runner src/Misc/layoutroot/run.sh and run-helper.sh.template in one: starts the listener again after the exit
 * codes 2, 3 and 4, and hides all others but, if asked, 7. With RUNNER_MANUALLY_TRAP_SIG it hands signals on.
 */
export const RUN_SH = `#!/bin/bash
if [ "$(id -u)" -eq 0 ] && [ -z "$RUNNER_ALLOW_RUNASROOT" ]; then
  echo "Must not run interactively with sudo"
  exit 1
fi
cd "$(dirname "\${BASH_SOURCE[0]}")" || exit 1
run() {
  if [ -z "$RUNNER_MANUALLY_TRAP_SIG" ]; then
    ./bin/Runner.Listener run $*
  else
    set -m
    ./bin/Runner.Listener run $* &
    PID=$!
    trap 'trap "" INT TERM; kill -INT $PID; wait $PID; exit 130' INT
    trap 'trap "" INT TERM; kill -INT $PID; wait $PID; exit 143' TERM
    wait $PID
  fi
}
while :; do
  run $*
  case $? in
    0) echo "Runner listener exited with error code 0"; exit 0 ;;
    2) echo "Runner listener exit with retryable error, re-launch runner in 5 seconds."; sleep 5 ;;
    3 | 4) echo "Runner listener exit because of updating, re-launch runner after successful update"; sleep 5 ;;
    7) [ "$ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE" = 1 ] && exit 7; exit 0 ;;
    *) echo "Runner listener exit with terminated error, stop the service, no retry needed."; exit 0 ;;
  esac
  echo "Restarting runner..."
done
`;
