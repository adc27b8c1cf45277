// What `npm run fuzz` and `npm run test:sanitizers` share: building with flags that stable compilers take only if asked
// by RUSTC_BOOTSTRAP, and running.

import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** Runs a program in a folder of the checkout, shows what it prints, and says whether it did well. */
export function run(command, args, { env = {}, cwd = root } = {}) {
  const { status, error } = spawnSync(command, args, { cwd, env: { ...process.env, ...env }, stdio: 'inherit' })
  if (error) throw error
  return status === 0
}

/** What a program prints. */
export function output(command, args, { env = {} } = {}) {
  const { status, stdout, error } = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })
  if (error) throw error
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`)
  return stdout.trim()
}

/** The target of this machine. It has to be named: what runs in the compiler itself is built without the flags. */
export const host = /^host: (.*)$/m.exec(output('rustc', ['-vV']))[1]

/** The environment in which Cargo builds with these flags of rustc. */
export function building(flags) {
  return { RUSTC_BOOTSTRAP: '1', RUSTFLAGS: flags.join(' ') }
}
