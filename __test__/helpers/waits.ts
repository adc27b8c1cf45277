// How specs have waits sleep as they do on other systems: what those lack is forbidden.

import type { ExecutionContext } from 'ava'

import { forbidPath } from './addon.ts'
import { type Runtime, runScript, scenario } from './runtimes.ts'

/** The numbers of the system calls that are forbidden, which are the same on every architecture. */
export const SYSTEMS = {
  'where nothing is forbidden': [],
  'where io_uring is forbidden': ['425'],
  'where io_uring and futex_waitv are forbidden': ['425', '449'],
}

/** Runs a scenario that forbids system calls (`forbidSome`), and sees it reach its end. */
export async function reachesEnd(t: ExecutionContext, runtime: Runtime, name: string, forbidden: string[]) {
  const options = { args: forbidden, env: { FORBID: forbidPath() } }
  const { stdout, code, signal, stderr } = await runScript(runtime, scenario(name), options)
  t.deepEqual({ stdout, code, signal }, { stdout: 'reached the end\n', code: 0, signal: null }, stderr)
}
