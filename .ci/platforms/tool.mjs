import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a script in ./tools prints, which is the folder of what it provides. Ends as the script does if that fails. */
export function tool(script, ...args) {
  const path = fileURLToPath(new URL(`tools/${script}`, import.meta.url))
  const { status, stdout, error } = spawnSync(path, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2] })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
  return stdout.trim()
}
