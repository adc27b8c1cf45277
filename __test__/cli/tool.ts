// How the tests call the command-line tool.

import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import type { ExecutionContext } from 'ava'

import { ending, run, start } from '../helpers/processes.ts'

export const main = fileURLToPath(new URL('../../cli/main.mjs', import.meta.url))

/** What the tool prints. */
export async function cli(t: ExecutionContext, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(process.execPath, [main, ...args])
  t.is(code, 0, stderr)
  return stdout
}

export async function asJson(t: ExecutionContext, command: string, ...args: string[]) {
  return JSON.parse(await cli(t, command, '--json', ...args))
}

/** A program in JavaScript that runs until the test kills it or ends, and the lines that it prints. */
export function started(t: ExecutionContext, ...args: string[]) {
  const child = start(process.execPath, args)
  const ended = ending(child)
  t.teardown(() => {
    child.kill('SIGKILL')
  })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  return { child, ended, next: async () => (await lines.next()).value as string }
}
