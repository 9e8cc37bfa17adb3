/**
 * Logs migctl in at the demo's controller, so that nobody has to type anything, and leaves what a person has of their own as it
 * was: their current context stays that, and a context of theirs is not written over.
 */

export interface MigctlRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface DemoLogin {
  /** Why migctl is not logged in; empty = it is. */
  readonly failure: string;
  /** What each command needs to lead to the demo; empty = nothing. */
  readonly flag: string;
  /** The demo has ended: its context is forgotten, and the current one is what it was. */
  forget(): void;
}

interface Known {
  readonly current: string | undefined;
  readonly servers: ReadonlyMap<string, string>;
}

const NAME = 'demo';
/** Where a person has a `demo` of their own, on another machine. */
const OTHER_NAME = 'mig-demo';

/** @param runMigctl runs `migctl` with these arguments to its end */
export function logInToDemo(
  { http, adminToken }: { readonly http: string; readonly adminToken: string },
  runMigctl: (args: readonly string[]) => MigctlRun,
): DemoLogin {
  const before = knownContexts(runMigctl);
  const name = isOnThisMachine(before.servers.get(NAME) ?? http) ? NAME : OTHER_NAME;
  const said = runMigctl([
    ...['login', '--server', http, '--token-file', adminToken, '--name', name, '--keep-current'],
  ]);
  const failure = said.status === 0 ? '' : said.stderr.trim();
  const isCurrent = failure === '' && knownContexts(runMigctl).current === name;
  const serverFlag = http === 'http://127.0.0.1:8080' ? '' : ` --server ${http}`;
  return {
    failure,
    flag: isCurrent || failure !== '' ? serverFlag : ` --context ${name}`,
    forget() {
      if (failure !== '') return;
      runMigctl(['context', 'remove', name]);
      const { current } = before;
      // Somebody may have made it the current one meanwhile.
      if (current !== undefined && current !== name && knownContexts(runMigctl).current === undefined)
        runMigctl(['context', 'use', current]);
    },
  };
}

function knownContexts(runMigctl: (args: readonly string[]) => MigctlRun): Known {
  const rows = runMigctl(['context', 'list'])
    .stdout.split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, mark, name, server] = /^(\*?) *(\S+) +(\S+)$/.exec(line) ?? [];
      return name === undefined || server === undefined ? [] : [{ isCurrent: mark === '*', name, server }];
    });
  return {
    current: rows.find(({ isCurrent }) => isCurrent)?.name,
    servers: new Map(rows.map(({ name, server }) => [name, server])),
  };
}

const isOnThisMachine = (server: string): boolean =>
  /^https?:\/\/(127\.\d+\.\d+\.\d+|localhost)(:|$)/.test(server);
