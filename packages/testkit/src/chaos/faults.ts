/** Breaks the world as the plan says, notes when it did, and repairs everything when a storm is over. */
import { writeFileSync } from 'node:fs';
import type { FaultAction, GithubFault, LinkFault, LinkName, Target } from './steps.js';
import type { Service } from './service.js';
import type { TcpProxy } from './tcp-proxy.js';
import type { World } from './world.js';

/** Something that was broken, and for how long; milliseconds since 1970. */
export interface Injected {
  readonly what: 'disk' | 'github' | 'other';
  readonly from: number;
  until: number;
}

export interface Faults {
  inject(action: FaultAction): void;
  /** Ends everything that is broken. Wall clocks stay off: nobody sets them right in life either. */
  repair(): void;
  readonly injected: readonly Injected[];
  readonly counts: Readonly<Record<FaultAction['do'], number>>;
}

/** @throws Error if a target or a link is not of this world */
export function createFaults(world: World): Faults {
  const injected: Injected[] = [];
  const counts: Record<FaultAction['do'], number> = {
    kill: 0,
    freeze: 0,
    terminate: 0,
    testPoint: 0,
    link: 0,
    github: 0,
    fillDisk: 0,
    setClock: 0,
  };
  /** What ends each fault that is going on. */
  const going = new Map<NodeJS.Timeout, () => void>();

  function during(what: Injected['what'], forMs: number, end: () => void): void {
    const note: Injected = { what, from: Date.now(), until: Infinity };
    injected.push(note);
    const finish = (): void => {
      going.delete(timer);
      end();
      note.until = Date.now();
    };
    const timer = setTimeout(finish, forMs);
    going.set(timer, finish);
  }

  function serviceOf(target: Target): Service {
    if (target === 'controller') return world.controller;
    const vm = world.vms.find(({ vmId }) => vmId === target);
    if (vm === undefined) throw new Error(`${target} is not in this world`);
    return vm.service;
  }

  function proxiesOf(link: LinkName): readonly TcpProxy[] {
    if (link === 'caller') return [world.callerLink];
    if (link === 'github') return [world.githubLink];
    const vms = world.vms.filter(({ vmId }) => link === 'all' || vmId === link);
    if (vms.length === 0) throw new Error(`there is no link ${link} in this world`);
    return vms.flatMap(({ http, grpc }) => [http, grpc]);
  }

  function breakLink(link: LinkName, fault: LinkFault, forMs: number): void {
    const proxies = proxiesOf(link);
    for (const proxy of proxies) applyLinkFault(proxy, fault);
    during(link === 'github' ? 'github' : 'other', forMs, () => {
      for (const proxy of proxies) proxy.clear();
    });
  }

  function breakGithub(fault: GithubFault, forMs: number): void {
    const { faults } = world.github;
    switch (fault.kind) {
      case 'fail':
        faults.failNext(fault.route, fault);
        break;
      case 'slow':
        faults.delay(fault.route, fault.delayMs);
        break;
      case 'lag':
        faults.setBusyLagMs(fault.busyLagMs);
        break;
      case 'unreachable':
        faults.setReachable(false);
    }
    during('github', forMs, () => faults.clear());
  }

  return {
    inject(action) {
      counts[action.do] += 1;
      switch (action.do) {
        case 'kill':
          serviceOf(action.target).kill();
          return;
        case 'freeze':
          serviceOf(action.target).freeze(action.forMs);
          return;
        case 'terminate':
          serviceOf(action.target).terminate();
          return;
        case 'testPoint': {
          const { target, point, signal, passage, forMs } = action;
          serviceOf(target).arm({ text: `${point}=${signal}@${passage}`, signal, continueAfterMs: forMs });
          return;
        }
        case 'link':
          breakLink(action.link, action.fault, action.forMs);
          return;
        case 'github':
          breakGithub(action.fault, action.forMs);
          return;
        case 'fillDisk':
          world.disk.fill();
          during('disk', action.forMs, () => world.disk.makeRoom());
          return;
        case 'setClock': {
          const vm = world.vms.find(({ vmId }) => vmId === action.target);
          writeFileSync(vm?.clockFile ?? world.controllerClockFile, String(action.offsetMs));
        }
      }
    },
    repair() {
      for (const [timer, finish] of [...going]) {
        clearTimeout(timer);
        finish();
      }
      for (const service of [world.controller, ...world.vms.map((vm) => vm.service)]) {
        service.thaw();
        // Otherwise it would die in the calm.
        if (service.isArmed) service.kill();
      }
    },
    injected,
    counts,
  };
}

function applyLinkFault(proxy: TcpProxy, fault: LinkFault): void {
  switch (fault.kind) {
    case 'slow':
      proxy.set({ latencyMs: fault.latencyMs, jitterMs: fault.jitterMs });
      return;
    case 'narrow':
      proxy.set({ bytesPerSecond: fault.bytesPerSecond });
      return;
    case 'cut':
      proxy.cut();
      return;
    case 'halfOpen':
      proxy.halfOpen(fault.closedEnd);
      return;
    case 'blackHole':
      if (fault.direction === 'both') proxy.set({ blackHole: true });
      else proxy.set({ blackHole: true }, fault.direction);
      return;
    case 'reset':
      proxy.resetAfter(fault.afterBytes, fault.direction);
      return;
    case 'refuse':
      proxy.refuse(true);
  }
}
