/** The environment of a task: chosen, not inherited, so that nothing of the MIGlet or the runner leaks into it (I8). */
import { OWNER_MARK } from './processes.js';

const PASSED_ON = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];
const PROXIES = ['http_proxy', 'https_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()]);

export function taskEnvironment(
  inherited: Readonly<Record<string, string | undefined>>,
  owner: string,
): Record<string, string> {
  const passed = [...PASSED_ON, ...PROXIES].flatMap((name) => {
    const value = inherited[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(passed), [OWNER_MARK]: owner };
}
