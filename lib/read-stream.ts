// Streams of a mapping's bytes, without a copy.

import type { Readable } from 'node:stream'
import { isUint8Array } from 'node:util/types'

import { toSignal } from './signal.js'
import { type Bytes, toBoolean, toBytes, toEncoding } from './arguments.js'
import type { NativeStop } from './binding.js'
import { copyForText } from './buffers.js'
import { check } from './choices.js'
import { invalidValue, outOfRange } from './errors.js'
import { native } from './native.js'
import { nextTick } from './timers.js'

/** Which bytes to stream, and how. */
export interface ReadStreamOptions {
  /** The first byte. Default: 0. */
  readonly start?: Bytes | undefined
  /** The last byte, inclusive as in `fs.createReadStream`; at most what the mapping has. Default: its last. */
  readonly end?: Bytes | undefined
  /** Bytes of each chunk, and how many bytes the stream buffers. Default: 65,536. */
  readonly highWaterMark?: number | undefined
  /** Gives strings, decoded from copies, as `setEncoding` does. Default: Buffers. */
  readonly encoding?: BufferEncoding | undefined
  /** Destroys the stream with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
  /** Close the mapping when the stream has ended or failed, or is destroyed. Default: false. */
  readonly autoClose?: boolean | undefined
}

/** What a stream needs of a mapping; ranges are from `start` to before `end`, in bytes. */
export interface Source {
  length(): number
  /** A Buffer that keeps its memory when the mapping is closed, and has it for itself. */
  chunk(start: number, end: number): Buffer
  /** Brings a range in on another thread, until told to stop. */
  prefetch(start: number, end: number, stop: NativeStop): Promise<void>
  /** Throws if a page of a range cannot be read. */
  touch(start: number, end: number): void
  /** The error that the user sees in place of a native one. */
  explain(error: unknown): unknown
  close(): void
}

const OPTIONS = ['start', 'end', 'highWaterMark', 'encoding', 'signal', 'autoClose']

/**
 * Bytes that are brought in together, off the thread of JavaScript, while those before them are consumed. The event
 * loop turns once for each such step, however fast the consumer is.
 */
const STEP = 2 ** 20

/** The longest chunk. */
const MAX_CHUNK = 2 ** 30

/** What a stream has handed out. */
interface Handed {
  readonly start: number
  end: number
  /** Bytes of it, the last ones, that a destination may still be reading. */
  readonly tail: number
}

/** The least tail in bytes; else it is two chunks. */
const MIN_TAIL = 2 ** 20

/** Of how many streams the tails are kept when the mapping is closed, and how many bytes in all. */
const MAX_TAILS = 64
const MAX_KEPT = 2 ** 26

/** A stream that has not closed. */
interface Running {
  /** An abandoned stream goes: what reads, or has a listener for what comes, keeps it. */
  readonly reader: WeakRef<Reader>
  /** Called when it has closed, or has gone. */
  readonly ended: (() => void)[]
}

const abandoned = new FinalizationRegistry(
  ({ streams, running }: { streams: WeakRef<ReadStreams>; running: Running }) => streams.deref()?.end(running),
)

/** The streams of one mapping. */
export class ReadStreams {
  readonly #source: Source
  readonly #running = new Set<Running>()
  readonly #self = new WeakRef(this)
  /** The streams that began a step last, the latest at the end. */
  readonly #handed = new Set<Handed>()

  constructor(source: Source) {
    this.#source = source
  }

  create(options: unknown): Readable {
    const reader = new Reader(this.#source, options, {
      step: (handed) => this.#noteStep(handed),
      closed: () => this.end(running),
    })
    const running: Running = { reader: new WeakRef(reader), ended: [] }
    this.#running.add(running)
    abandoned.register(reader, { streams: this.#self, running })
    return reader.stream
  }

  /** Notes that a stream has closed, or has gone. */
  end(running: Running): void {
    this.#running.delete(running)
    for (const end of running.ended.splice(0)) end()
  }

  get areClosed(): boolean {
    return this.#running.size === 0
  }

  /** Resolves when all that are open now have closed, or have gone. */
  async closed(): Promise<void> {
    await Promise.all([...this.#running].map(({ ended }) => new Promise<void>((resolve) => ended.push(resolve))))
  }

  #noteStep(handed: Handed): void {
    this.#handed.delete(handed)
    this.#handed.add(handed)
    if (this.#handed.size > MAX_TAILS) this.#handed.delete(this.#handed.values().next().value!)
  }

  /** What destinations may still be reading: starts and ends of ranges in turn. */
  tails(): number[] {
    let room = MAX_KEPT
    return [...this.#handed].toReversed().flatMap(({ start, end, tail }) => {
      const length = Math.min(end - start, tail, room)
      room -= length
      return [end - length, end]
    })
  }

  /** Ends every stream with an error, unless its reader has all of it. */
  fail(error: Error): void {
    this.#handed.clear()
    for (const { reader } of this.#running) reader.deref()?.fail(error)
  }
}

/** What the streams of a mapping are told by each. */
interface Notes {
  /** A step has begun. */
  step(handed: Handed): void
  /** The stream has closed. */
  closed(): void
}

/** What is behind a stream. */
class Reader {
  readonly stream: Readable
  readonly #source: Source
  readonly #notes: Notes
  readonly #closesMapping: boolean
  readonly #end: number
  readonly #chunk: number
  readonly #stepLength: number
  /** The next chunk begins at the end of it. */
  readonly #handed: Handed
  /** Where the step that is under way ends. */
  #stepEnd: number
  /** The next step on its way in. */
  #ahead: Promise<void> | undefined
  readonly #stop = new native.NativeStop()
  #failure: Error | undefined
  /** Where the last chunk that the stream was given ends. */
  #given: number
  /** What the chunks are, by their memory. */
  readonly #prototypes = new WeakMap<ArrayBufferLike, object>()

  constructor(source: Source, options: unknown, notes: Notes) {
    const given = check<ReadStreamOptions>(options, OPTIONS)
    const { highWaterMark = 65_536 } = given
    const start = given.start === undefined ? 0 : toBytes(given.start, 'options.start')
    const end = given.end === undefined || given.end === Infinity ? Infinity : toBytes(given.end, 'options.end')
    if (start > end) throw outOfRange('options.start', `at most \`end\`, which is ${end}`, given.start)
    if (!Number.isSafeInteger(highWaterMark) || highWaterMark < 1) {
      throw invalidValue('options.highWaterMark', highWaterMark, 'must be a whole number of at least 1')
    }
    const encoding = given.encoding && toEncoding(given.encoding)
    const signal = toSignal(given.signal)
    this.#closesMapping = toBoolean(given.autoClose, 'options.autoClose', false)
    // Looked for when it is needed: loading it takes longer than loading the native library.
    const { addAbortSignal, Readable } = process.getBuiltinModule('node:stream')
    this.stream = new Readable({
      highWaterMark,
      read: () => this.#read(),
      destroy: (error, done) => this.#destroy(error, done),
    })
    const { emit, read, setEncoding } = this.stream
    this.stream.emit = (name: string | symbol, ...values: any[]) => {
      if (name === 'data') this.#restore(values[0])
      if (name === 'close') this.#close() // whether it has listeners or not: a program may have removed them all
      return emit.call(this.stream, name, ...values)
    }
    this.stream.read = (size) => this.#restore(read.call(this.stream, size))
    this.stream.setEncoding = (name) => {
      copyWaiting(this.stream)
      return setEncoding.call(this.stream, name)
    }
    if (encoding) this.stream.setEncoding(encoding)
    this.#source = source
    this.#notes = notes
    this.#end = Math.min(end + 1, source.length())
    this.#chunk = Math.min(highWaterMark, MAX_CHUNK)
    this.#stepLength = Math.max(1, Math.floor(STEP / this.#chunk)) * this.#chunk
    this.#stepEnd = start
    this.#handed = { start, end: start, tail: Math.max(MIN_TAIL, 2 * this.#chunk) }
    this.#given = start
    if (signal) addAbortSignal(signal, this.stream)
  }

  /**
   * Ends the stream with an error, unless its reader has all of it, so that only the event `'end'` is missing: at once if
   * it has a listener for errors, else on the next read. An abandoned stream must not end the process.
   */
  fail(error: Error): void {
    if (this.#given >= this.#end && this.stream.readableLength === 0) return
    this.#failure = error
    if (this.stream.listenerCount('error') > 0) this.stream.destroy(error)
  }

  /**
   * Pushes a chunk on a tick of its own: never from inside the read that asks for it, because the reader would then get
   * this chunk and the one before as a copy of both, and so that the stream does not catch what a listener throws.
   */
  #read(): void {
    this.#next().then(
      (chunk) => nextTick(() => this.#push(chunk)),
      (error: unknown) => this.stream.destroyed || this.stream.destroy(this.#source.explain(error) as Error),
    )
  }

  #push(chunk: Buffer | null): void {
    if (this.stream.destroyed) return // null would make it look finished
    try {
      // Decoders read bytes twice, so they must not get bytes that others can change in between.
      if (chunk !== null && this.stream.readableEncoding !== null) chunk = copyForText(chunk)
      else if (chunk !== null) this.#prototypes.set(chunk.buffer, Object.getPrototypeOf(chunk))
    } catch (error) {
      this.stream.destroy(error as Error)
      return
    }
    if (chunk !== null) this.#given = this.#handed.end
    this.stream.push(chunk)
  }

  /** Makes what the runtime has cut off a chunk for `read(size)`, an ordinary Buffer, what the chunk is. */
  #restore<T>(part: T): T {
    const prototype = isUint8Array(part) && this.#prototypes.get(part.buffer)
    return prototype ? Object.setPrototypeOf(part, prototype) : part
  }

  /** Resolves when no other thread works for the stream any more: a fault after that has another cause. */
  #destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#stop.stop()
    const end = () => done(error)
    if (this.#ahead === undefined) end()
    else this.#ahead.then(end, end)
  }

  #close(): void {
    this.#notes.closed()
    if (this.#closesMapping) this.#source.close()
  }

  /** The next chunk, if its pages are there. Pages that go away later are reported like any fault. */
  async #next(): Promise<Buffer | null> {
    if (this.#failure !== undefined) throw this.#failure
    const start = this.#handed.end
    if (start === this.#stepEnd) await this.#step(start)
    const end = Math.min(start + this.#chunk, this.#stepEnd)
    if (start >= end || this.stream.destroyed) return null
    this.#source.touch(start, end)
    const chunk = this.#source.chunk(start, end)
    this.#handed.end = end
    return chunk
  }

  /** Begins the step that is at `start`, and has the next one brought in meanwhile. */
  async #step(start: number): Promise<void> {
    const end = this.#endOfStep(start)
    if (start >= end) return
    await (this.#ahead ??= this.#prefetch(start))
    this.#ahead = undefined
    if (this.stream.destroyed) return
    this.#stepEnd = end
    this.#notes.step(this.#handed)
    if (end === this.#end) return
    this.#ahead = this.#prefetch(end)
    this.#ahead.catch(() => {}) // an error is thrown where it is awaited, if it ever is
  }

  #prefetch(start: number): Promise<void> {
    return this.#source.prefetch(start, this.#endOfStep(start), this.#stop)
  }

  #endOfStep(start: number): number {
    return Math.min(start + this.#stepLength, this.#end)
  }
}

/** Replaces the chunks that wait in a stream by a copy, before they are decoded. */
function copyWaiting(stream: Readable): void {
  if (stream.readableLength === 0 || stream.readableEncoding !== null) return
  const { emit, readableFlowing } = stream
  stream.emit = () => false // this was not read yet
  try {
    if (readableFlowing) stream.pause() // what is put back would be given to listeners at once
    let chunk = stream.read(stream.readableLength) as Buffer
    try {
      chunk = copyForText(chunk)
    } finally {
      stream.unshift(chunk)
    }
  } finally {
    stream.emit = emit
    if (readableFlowing) stream.resume()
  }
}
