// Processes that will be killed, and what they print until then.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { scriptEnv } from '../helpers/processes.ts'
import type { Runtime } from '../helpers/runtimes.ts'
import { until } from '../helpers/until.ts'

export class Victim {
  readonly child: ChildProcess
  stdout = ''
  #stderr = ''
  readonly #ended: Promise<unknown[]>

  constructor(runtime: Runtime, program: string, args: (string | number)[], env: Record<string, string> = {}) {
    const file = fileURLToPath(new URL(program, import.meta.url))
    this.child = spawn(runtime.command, [...runtime.args, file, ...args.map(String)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: scriptEnv(env),
    })
    this.child.stdout!.setEncoding('latin1').on('data', (text: string) => (this.stdout += text))
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text))
    this.#ended = once(this.child, 'close')
    this.#ended.catch(() => {}) // told by `kill`
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  /** Waits until it has done something, unless it has ended. */
  async until(isSo: () => boolean): Promise<void> {
    await until(() => this.hasEnded || isSo())
  }

  /** Kills it; gives what is wrong if it had ended by itself. */
  async kill(): Promise<string | undefined> {
    this.child.kill('SIGKILL')
    const [code, signal] = await this.#ended
    return signal === 'SIGKILL' ? undefined : `ended by itself with ${String(signal ?? code)}: ${this.#stderr}`
  }
}
