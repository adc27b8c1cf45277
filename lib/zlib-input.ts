// zlib streams whose input is emptied while they have it: they end with an error instead of the process.

import { environment, thisProcess } from './environment.js'

/** What the runtime's streams call, with the input each time that there is room for more output. */
interface Handle {
  write(flush: number, input: unknown, offset: number, length: number, ...output: unknown[]): unknown
  onerror?(message: string, errno: number, code: string): void
}

/** One of each class of handles. */
const MAKERS = [
  'createDeflate',
  'createBrotliCompress',
  'createBrotliDecompress',
  'createZstdCompress',
  'createZstdDecompress',
] as const

const Z_STREAM_ERROR = -2
const EMPTIED = 'The input has no memory any more: its mapping was closed or resized, or it was transferred'

/** How many modules of the runtime were loaded when they were looked through. */
let seen = -1

/**
 * Has zlib streams look whether their input is still there. One that waits for room for its output holds a view
 * without an operation that the runtime counts; when it goes on with an empty view, Node 20 aborts, and Bun throws
 * where no code can catch it. To be called before views are emptied.
 */
export function watchZlib(): void {
  if (environment.watchesZlib || !isLoaded()) return
  environment.watchesZlib = true
  const zlib = thisProcess.getBuiltinModule('node:zlib') as unknown as Record<string, (() => Stream) | undefined>
  for (const maker of MAKERS) {
    try {
      const stream = zlib[maker]?.()
      const { _handle: handle } = stream ?? {}
      const prototype: Handle | undefined = handle && Object.getPrototypeOf(handle)
      if (typeof prototype?.write === 'function') watch(prototype)
      stream?.close()
    } catch {
      // Somebody has replaced or frozen it, or there is no memory: closing goes on.
    }
  }
}

interface Stream {
  readonly _handle?: object
  close(): void
}

function watch(prototype: Handle): void {
  const { write } = prototype
  prototype.write = function (this: Handle, ...parameters) {
    const [, input, offset, length] = parameters
    const isEmptied = ArrayBuffer.isView(input) && input.byteLength < offset + length
    if (!isEmptied || this.onerror === undefined) return Reflect.apply(write, this, parameters)
    this.onerror(EMPTIED, Z_STREAM_ERROR, 'ERR_MMAP_CLOSED')
  }
}

/** Whether the program may have a zlib stream. Bun does not say so; Deno's streams have no class that they share. */
function isLoaded(): boolean {
  const { moduleLoadList, versions } = thisProcess as NodeJS.Process & { moduleLoadList?: readonly string[] }
  if ('bun' in versions) return true
  if ('deno' in versions || moduleLoadList === undefined || moduleLoadList.length === seen) return false
  seen = moduleLoadList.length
  return moduleLoadList.includes('NativeModule zlib')
}
