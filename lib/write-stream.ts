// Streams into a mapping, whose file grows as they need.

import type { Writable } from 'node:stream'

import { type Bytes, toBoolean, toBytes } from './arguments.js'
import { isDetached } from './buffers.js'
import { check } from './choices.js'
import { closedError, emptiedError, invalidValue, notWritable, resizedError } from './errors.js'
import type { Protection } from './options.js'
import { toSignal } from './signal.js'

/** Where to write, and how. */
export interface WriteStreamOptions {
  /** Where the first byte goes. Beyond the mapping's end, zeros come before it. Default: 0. */
  readonly start?: Bytes | undefined
  /** How many bytes may wait in the stream before `write` returns `false`. Default: Node's, 16 or 64 KiB. */
  readonly highWaterMark?: number | undefined
  /** Destroys the stream with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
  /** Write to the disk, as `map.sync()` does, before the stream emits `'finish'`. Default: false. */
  readonly flush?: boolean | undefined
  /** Close the mapping when the stream has finished or failed, or is destroyed. Default: false. */
  readonly autoClose?: boolean | undefined
}

/** What a stream needs of a mapping. */
export interface Target {
  readonly closed: boolean
  readonly length: number
  readonly protection: Protection
  write(data: Uint8Array, offset: number): number
  resize(length: number): void
  sync(): Promise<void>
  close(): void
}

const OPTIONS = ['start', 'highWaterMark', 'signal', 'flush', 'autoClose']

/** By how much a mapping grows at a time, in bytes: by half, within these limits. Ext4 is slow with longer holes. */
const MIN_STEP = 2 ** 20
const MAX_STEP = 2 ** 25

/** Windows cannot make a file shorter that is mapped: there it grows by what is written, and no more. */
const CAN_SHORTEN = process.platform !== 'win32'

/** What the streams into a mapping need of its file, and share; lengths are in bytes, from the mapping's start on. */
export interface StreamedFile {
  /** How long it is; 0 without one. */
  length(): number
  /** Where the last byte that is not zero ends in a part of it; `start` if there is none. */
  endOfData(start: number, end: number): number
  /** Cuts it off at the mapping's end, but keeps the first `kept` bytes, if it is still `length` bytes long. */
  cut(length: number, kept: number): void
  growing?: Growing
}

/** Makes a stream into `target`. */
export function createWriteStream(target: Target, file: StreamedFile, options: unknown): Writable {
  const given = check<WriteStreamOptions>(options, OPTIONS)
  const start = given.start === undefined ? 0 : toBytes(given.start, 'options.start')
  const { highWaterMark } = given
  if (highWaterMark !== undefined && !(Number.isSafeInteger(highWaterMark) && highWaterMark > 0)) {
    throw invalidValue('options.highWaterMark', highWaterMark, 'must be a whole number of at least 1')
  }
  const signal = toSignal(given.signal)
  const flush = toBoolean(given.flush, 'options.flush', false)
  const autoClose = toBoolean(given.autoClose, 'options.autoClose', false)
  if (!target.protection.includes('write')) throw notWritable()
  // Looked for when it is needed: loading it takes longer than loading the native library.
  const { addAbortSignal, Writable } = process.getBuiltinModule('node:stream')
  const shared = Growing.of(target, file)
  let position = start
  const append = (chunks: Buffer[]) => {
    position = shared.write(chunks, position)
  }
  const stream = new Writable({
    ...(highWaterMark !== undefined && { highWaterMark }),
    write: (chunk: Buffer, _, done) => settle(done, () => append([chunk])),
    writev: (chunks: { chunk: Buffer }[], done) => settle(done, () => append(chunks.map(({ chunk }) => chunk))),
    final: (done) =>
      settle(done, () => {
        shared.trim()
        return flush ? target.sync() : undefined
      }),
    destroy: (error, done) =>
      settle(
        (failure) => done(error ?? failure),
        () => shared.trim(),
      ),
  })
  if (autoClose) {
    const { emit } = stream
    // Not a listener: a program may remove them all.
    stream.emit = (name: string | symbol, ...values: any[]) => {
      if (name === 'close') target.close()
      return emit.call(stream, name, ...values)
    }
  }
  if (signal) addAbortSignal(signal, stream)
  return stream
}

/** Gives back the room that streams have in the file of a mapping that is about to be closed; else it stays. */
export function giveRoomBack(file: StreamedFile): void {
  try {
    file.growing?.trim()
  } catch {
    // Another thread has the mapping open, or someone has resized it.
  }
}

/** Calls `done` when `run` is done, with its error if it fails. */
function settle(done: (error?: Error | null) => void, run: () => void | Promise<void>): void {
  let result
  try {
    result = run()
  } catch (error) {
    return done(error as Error)
  }
  if (result === undefined) done()
  else result.then(() => done(), done)
}

/** A mapping that streams write to, and that has more room at its end than they asked for, until one of them ends. */
class Growing {
  readonly #target: Target
  readonly #file: StreamedFile
  /** What the file had beyond the mapping's end when the mapping grew. */
  #kept = 0
  /** The length it is to have in the end. */
  #wanted: number
  /** The length it has. */
  #length: number

  private constructor(target: Target, file: StreamedFile) {
    this.#target = target
    this.#file = file
    this.#wanted = this.#length = target.length
  }

  static of(target: Target, file: StreamedFile): Growing {
    const shared = file.growing
    if (shared !== undefined && shared.#length === target.length) return shared
    return (file.growing = new Growing(target, file))
  }

  /** Writes from `position` on, and returns where that ends. */
  write(chunks: readonly Buffer[], position: number): number {
    this.#check()
    const end = chunks.reduce((sum, { length }) => sum + length, position)
    if (end > this.#length) this.#grow(end)
    let next = position
    for (const chunk of chunks) {
      // It was to have bytes: Node would wait for ever until they are written, and then not finish.
      if (chunk.length === 0 && isDetached(chunk.buffer)) throw emptiedError()
      this.#target.write(chunk, next)
      next += chunk.length
      this.#wanted = Math.max(this.#wanted, next)
    }
    return next
  }

  /** Gives back what nobody has used, if that was not done already. */
  trim(): void {
    if (this.#target.closed) return
    if (this.#length !== this.#wanted) this.#cut()
    this.#kept = 0
  }

  #cut(): void {
    this.#check()
    const before = this.#length
    const first = Math.max(this.#wanted, this.#kept)
    const end = this.#file.endOfData(first, before)
    if (end > first) this.#wanted = end // others have stored there
    this.#resize(this.#wanted)
    this.#file.cut(before, this.#kept)
  }

  #grow(end: number): void {
    const had = this.#file.length()
    if (had > this.#length) this.#kept = had
    const step = Math.min(Math.max(this.#length / 2, MIN_STEP), MAX_STEP)
    if (CAN_SHORTEN) {
      try {
        return this.#resize(Math.max(end, Math.ceil(this.#length + step)))
      } catch {
        // There may be room for less.
      }
    }
    this.#resize(end)
  }

  #resize(length: number): void {
    this.#target.resize(length)
    this.#length = length
  }

  /** Nobody but these streams may change the length meanwhile: it would be unclear what is whose. */
  #check(): void {
    if (this.#target.closed) throw closedError()
    if (this.#target.length !== this.#length || this.#file.growing !== this) throw resizedError()
  }
}
