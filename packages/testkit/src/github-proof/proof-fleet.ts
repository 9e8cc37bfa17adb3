/**
 * The VMs of a proof, simulated ones and real ones side by side. Somebody stands beside each, and looks at the moment at which
 * its MIGlet has ended, whether GitHub has a runner of it: none may be left, for nobody would be there to run its jobs.
 */
import type { RunnerResource } from '../github/runner-resource.js';
import type { Ground } from '../reliability/ground.js';
import { createRealVm, type RealVm } from '../reliability/real-vm.js';
import { installStandInRunner } from '../runner/install.js';
import type { Child } from '../system/child-process.js';
import type { ProofControl } from './control.js';
import { vmOfRunner } from '../system/runner-name.js';

export interface ProofFleet {
  readonly vmIds: readonly string[];
  readonly realVmIds: readonly string[];
  /** SIGTERM to a real MIGlet that runs and was not sent one yet: a second would end its job. */
  end(vmId: string): void;
  /** SIGKILL to a real MIGlet. Its runner goes on, and it is started again if the fleet restarts. */
  kill(vmId: string): void;
  /** Ends of VMs with a runner that they had had, and GitHub still had then, in words. */
  readonly liveAtEnd: readonly string[];
  /** … with one that was never started: nobody has its configuration, and no job can come to it. */
  readonly unusedAtEnd: readonly string[];
  /** Ends of VMs so far. */
  readonly endCount: number;
  /** Processes that ended otherwise than in order, in words. */
  readonly crashes: readonly string[];
  /** A VM that ends from here on does not come back. */
  stopRestarting(): void;
}

export interface ProofFleetOptions {
  readonly simulated: number;
  /** Processes of the MIGlet's bundle with stand-in runners. */
  readonly real: number;
  /** Begins the names of its VMs. Default empty. */
  readonly prefix?: string;
  /** A VM that has ended begins another boot. Default false. */
  readonly restarts?: boolean;
  /** Settings of the real MIGlets, `MIGLET_…`. */
  readonly realEnv?: Readonly<Record<string, string>>;
}

/** What a MIGlet of a proof has shorter than by default: it runs for a minute, not for weeks. */
const REAL_ENV = {
  MIGLET_CONTROLLER_RECONNECT_FIRST: '200ms',
  MIGLET_CONTROLLER_RECONNECT_MAX: '2s',
  MIGLET_HEARTBEAT_INTERVAL: '2s',
  MIGLET_REGISTRATION_RETRY_FIRST: '200ms',
  MIGLET_REGISTRATION_RETRY_MAX: '2s',
  // GitHub is broken on purpose: a VM is not given up for that.
  MIGLET_REGISTRATION_MAX_FAILURES: '1000',
};
const RESTART_AFTER = '300ms..2s';
const RESTART_REAL_MS = 500;

/** All of them start at once. A VM's jobs ask for its own name as a label. */
export function startProofFleet(
  ground: Ground,
  control: ProofControl,
  options: ProofFleetOptions,
): ProofFleet {
  const { prefix = '' } = options;
  const liveAtEnd: string[] = [];
  const unusedAtEnd: string[] = [];
  const crashes: string[] = [];
  let endCount = 0;
  const crashed = (what: string): void => {
    crashes.push(what);
    ground.say(`ended by itself: ${what}`);
  };
  let restarts = options.restarts ?? false;
  ground.onCleanUp(() => (restarts = false));

  function atEnd(vmId: string): void {
    endCount += 1;
    for (const { id, name, status, busy } of runnersOf(control, vmId)) {
      const list = control.counts.used.has(id) ? liveAtEnd : unusedAtEnd;
      list.push(`${vmId} ended while GitHub had ${name} (${status}${busy ? ', busy' : ''})`);
    }
  }

  /** What real MIGlets that run were sent. */
  const told = new Map<string, 'SIGTERM' | 'SIGKILL'>();

  function tellReal(vmId: string, signal: 'SIGTERM' | 'SIGKILL'): void {
    const vm = real.find((each) => each.vmId === vmId);
    if (vm?.runs !== true || (signal === 'SIGTERM' && told.has(vmId))) return;
    told.set(vmId, signal);
    vm.signal(signal);
  }

  function startReal(vm: RealVm): void {
    told.delete(vm.vmId);
    vm.start();
    void vm.ended().then((exit) => {
      if (ground.signal.aborted) return;
      if (exit.code === 0) atEnd(vm.vmId);
      // One that is told to end before it listens to signals ends by the signal.
      else if (restarts && (exit.signal === null || exit.signal !== told.get(vm.vmId)))
        crashed(`${vm.vmId}: ${exit.lastError || (exit.signal ?? `exit code ${exit.code ?? 0}`)}`);
      if (restarts) setTimeout(() => restarts && startReal(vm), RESTART_REAL_MS);
    });
  }

  const simulated = options.simulated === 0 ? undefined : startSimulated();
  const real = Array.from({ length: options.real }, (_, index) => {
    const vmId = `${prefix}real-${index + 1}`;
    return createRealVm(ground, control, {
      vmId,
      installRunner: (directory) =>
        void installStandInRunner(directory, {
          env: { STAND_IN_RUNNER_RETRY_MS: '200', STAND_IN_RUNNER_SESSION_CONFLICT: '200:100' },
        }),
      env: { ...REAL_ENV, MIGLET_RUNNER_LABELS: `[${vmId}]`, ...options.realEnv },
    });
  });
  for (const vm of real) startReal(vm);

  function startSimulated(): Child {
    const child = ground.startFleet({
      endpoint: control.controller.http,
      prefix: `${prefix}sim`,
      first: 1,
      count: options.simulated,
      seed: 1 + Math.floor(ground.random() * 2 ** 30),
      kept: true,
      reconnect: '200ms..2s',
      connected: true,
      ...(restarts ? { restartAfter: RESTART_AFTER } : {}),
      onLog: (entry) => {
        if (entry['event'] === 'ended') atEnd(String(entry['vm_id']));
      },
    });
    void child.exited.then((exit) => {
      if (!ground.signal.aborted && exit.code !== 0 && exit.signal !== 'SIGKILL')
        crashed(`the simulated VMs: ${exit.lastError || (exit.signal ?? `exit code ${exit.code ?? 0}`)}`);
    });
    return child;
  }

  return {
    vmIds: [
      ...Array.from({ length: options.simulated }, (_, index) => `${prefix}sim-${index + 1}`),
      ...real.map(({ vmId }) => vmId),
    ],
    realVmIds: real.map(({ vmId }) => vmId),
    end: (vmId) => tellReal(vmId, 'SIGTERM'),
    kill: (vmId) => tellReal(vmId, 'SIGKILL'),
    liveAtEnd,
    unusedAtEnd,
    crashes,
    get endCount() {
      return endCount;
    },
    stopRestarting() {
      restarts = false;
      simulated?.signal('SIGUSR2');
    },
  };
}

export const runnersOf = ({ github }: Pick<ProofControl, 'github'>, vmId: string): RunnerResource[] =>
  github.runners().filter(({ name }) => vmOfRunner(name) === vmId);
