// Messages from many processes to several, each to one of them.

import type { NativeQueue } from '../binding.js'
import { illegalConstructor, KEY } from '../errors.js'
import { Handle, tag } from '../handle.js'
import { toTimeout, type WaitOptions } from './arguments.js'
import { Deliveries, notOwner } from './deliveries.js'
import { Lifetime } from './lifetime.js'
import { type MemoryMap, native } from './main.js'
import { type ChannelOptions, type ChannelRange, CREATE, EITHER, make, OPEN, openAsync } from './opening.js'
import { call } from './pending.js'
import { Receiving } from './receiving.js'
import { Sending } from './sending.js'
import { Words } from './words.js'

/** Bytes of a queue's head, and the half words in it that are read here (docs/queue.md). */
const HEAD_SIZE = 512
const [HEAD, NEXT, RETURNED] = [32, 66, 68]

/** What is in a queue. */
export interface QueuePending {
  /** Messages that wait for a receiver. */
  readonly messages: number
  /** The bytes of these messages. */
  readonly bytes: number
  /** Messages that a receiver, living or dead, has got and not released. */
  readonly delivered: number
}

/** Makes a `QueueMessage`, whose constructor is private. */
let messageOf: (from: Deliveries<QueueMessage>, number: number, data: Buffer, deliveries: number) => QueueMessage
/** Whether a message still belongs to this receiver. */
let isOwn: (message: QueueMessage) => boolean

/** A message of a {@link Queue}. It belongs to this receiver until it is released or requeued, or the receiver dies. */
export class QueueMessage extends Handle {
  static {
    tag(this)
    messageOf = (from, number, data, deliveries) => new QueueMessage(from, number, data, deliveries)
    isOwn = (message) => message.#number >= 0
  }

  /** Its bytes: a copy, which you may keep. Short ones share their `buffer` with other messages. */
  readonly data: Buffer
  /**
   * How many times it has been delivered, including this time. A message that kills or stops every receiver keeps coming
   * back: put it aside when this gets too high.
   */
  readonly deliveries: number
  readonly #from: Deliveries<QueueMessage>
  /** Negative once it no longer belongs to this receiver. */
  #number: number

  private constructor(from: Deliveries<QueueMessage>, number: number, data: Buffer, deliveries: number) {
    super()
    if (!(from instanceof Deliveries)) throw illegalConstructor('`queue.receive`')
    this.#from = from
    this.#number = number
    this.data = data
    this.deliveries = deliveries
  }

  /**
   * Says that the work is done: the message will not be delivered again.
   *
   * @throws `ERR_MMAP_NOT_OWNER` if it was released or requeued before; `ERR_MMAP_CLOSED` if the queue was closed, which
   *   requeued it
   */
  release(): void {
    this.#settle(false)
  }

  /**
   * Gives the message back. This or another receiver gets it again, before any that was never delivered.
   *
   * @throws as {@link release}
   */
  requeue(): void {
    this.#settle(true)
  }

  #settle(requeue: boolean): void {
    this.#from.life.check()
    if (this.#number < 0) throw notOwner()
    this.#from.settle(this.#number, requeue)
    this.#number = -1
  }

  /** Requeues it, unless it was released: for `using`. */
  [Symbol.dispose](): void {
    if (this.#number >= 0 && !this.#from.life.closed) this.requeue()
  }

  toJSON(): object {
    return { length: this.data.length, deliveries: this.deliveries }
  }
}

/**
 * Work for several processes: each message goes to one receiver, which keeps it until it releases it. If the receiver
 * dies or is closed before that, another one gets the message. So work is done at least once, and twice if a receiver is
 * killed between doing it and releasing it.
 *
 * New messages come in the order in which they were sent. Any `Queue` can send and receive.
 *
 * ```js
 * const map = mapShared('jobs', { protection: 'read-write', create: true, length: 2 ** 20 })
 * const jobs = Queue.openOrCreate(map)
 * jobs.send('resize 1.png')
 * // in each worker; a job is released when the loop goes on
 * for await (const job of jobs) handle(job.data)
 * ```
 */
export class Queue extends Handle {
  static {
    tag(this)
  }

  readonly #life: Lifetime
  readonly #native: NativeQueue
  readonly #max: number
  readonly #words: Words
  readonly #sending: Sending
  readonly #receiving: Receiving
  readonly #deliveries: Deliveries<QueueMessage>

  private constructor(key: typeof KEY, map: MemoryMap<any>, behind: NativeQueue, offset: number) {
    super()
    if (key !== KEY) throw illegalConstructor('`Queue.create` or `Queue.open`')
    this.#life = new Lifetime(map, 'queue')
    this.#native = behind
    this.#max = native.queueMaxLength(behind)
    this.#words = new Words(map, offset, HEAD_SIZE)
    this.#sending = new Sending(this.#life, {
      max: this.#max,
      send: (bytes, timeout) => native.queueSend(behind, bytes, timeout),
      sendAsync: (...wait) => native.queueSendAsync(behind, ...wait),
    })
    this.#receiving = new Receiving(this.#life, (...wait) => native.queueReadyAsync(behind, ...wait))
    this.#deliveries = new Deliveries(this.#life, behind, messageOf)
  }

  /**
   * Makes a queue in a shared and writable mapping, over whatever was there.
   *
   * @throws `ERR_OUT_OF_RANGE` if it does not fit; as `Channel.create`
   */
  static create(map: MemoryMap<any>, options?: Readonly<ChannelRange>): Queue {
    return make(map, options, CREATE, native.queueOpen, (...behind) => new Queue(KEY, map, ...behind))
  }

  /**
   * Opens an existing queue.
   *
   * @throws `ERR_MMAP_INVALID` if there is none, not all of one, or one of another version
   */
  static open(map: MemoryMap<any>, options?: Readonly<ChannelOptions>): Queue {
    return make(map, options, OPEN, native.queueOpen, (...behind) => new Queue(KEY, map, ...behind))
  }

  /**
   * Opens the queue that is there, or makes one if the memory is zero. All who call it at the same moment get the same.
   *
   * @param options the length is for a new queue; one that is there has its own
   * @throws `ERR_MMAP_INVALID` if something else is there; as {@link create} and {@link open}
   */
  static openOrCreate(map: MemoryMap<any>, options?: Readonly<ChannelRange>): Queue {
    return make(map, options, EITHER, native.queueOpen, (...behind) => new Queue(KEY, map, ...behind))
  }

  /**
   * Opens the queue. Waits until there is one if the memory is still zero; undefined if the time is up first.
   *
   * @param options where it is, the timeout in milliseconds, and an `AbortSignal`
   * @throws as {@link open}
   */
  static openAsync(
    map: MemoryMap<any>,
    options?: Readonly<ChannelOptions & Pick<WaitOptions, 'signal'>>,
  ): Promise<Queue>
  static openAsync(
    map: MemoryMap<any>,
    options: Readonly<ChannelOptions & WaitOptions> | undefined,
  ): Promise<Queue | undefined>
  static openAsync(map: MemoryMap<any>, options?: Readonly<ChannelOptions & WaitOptions>): Promise<Queue | undefined> {
    const wrap = (behind: NativeQueue, offset: number) => new Queue(KEY, map, behind, offset)
    return openAsync(map, options, native.queueMade, native.queueOpen, wrap)
  }

  /** How many bytes all messages may take, with 32 more for each: those that wait, and those delivered and not released. */
  get capacity(): number {
    return native.queueCapacity(this.#native)
  }

  /** Bytes of the longest message: half the capacity, less 16. */
  get maxLength(): number {
    return this.#max
  }

  /** Whether `close()` was called, here or on the mapping. */
  get closed(): boolean {
    return this.#life.closed
  }

  /** What is in the queue, whoever sent it. It is counted anew each time, message by message, while others go on. */
  get pending(): QueuePending {
    this.#life.check()
    const counts = call(this.#life.map, () => native.queuePending(this.#native))
    const [messages, bytes, delivered] = counts as [number, number, number]
    return { messages, bytes, delivered }
  }

  /**
   * Sends a message, and blocks the thread until there is room for it; `false` if the time is up first.
   *
   * Room is freed in the order of the messages: one that a receiver keeps for a long time holds up all later ones.
   *
   * @param data a string is sent as UTF-8
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_OUT_OF_RANGE` if it is longer than {@link maxLength}; `ERR_MMAP_BUSY` while a `sendAsync` is
   *   pending, which this would overtake; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  send(data: NodeJS.ArrayBufferView | string, timeout?: number): boolean {
    return this.#sending.send(data, timeout)
  }

  /** Sends a message if there is room for it now, and no `sendAsync` is pending. */
  trySend(data: NodeJS.ArrayBufferView | string): boolean {
    return this.#sending.trySend(data)
  }

  /**
   * Sends messages in order, and blocks the thread until there is room for them. If they are short, nobody else's come
   * between them. Returns how many were sent before the time was up.
   *
   * @param timeout in milliseconds, for all; for ever if there is none
   * @throws as {@link send}
   */
  sendMany(messages: Iterable<NodeJS.ArrayBufferView | string>, timeout?: number): number {
    return this.#sending.sendMany(messages, timeout, (...batch) => native.queueSendMany(this.#native, ...batch))
  }

  /**
   * As {@link send}, without blocking the event loop. Messages are sent in the order of the calls. If the promise
   * rejects, its message is not sent.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  sendAsync(data: NodeJS.ArrayBufferView | string, options?: number | Readonly<WaitOptions>): Promise<boolean> {
    return this.#sending.sendAsync(data, options)
  }

  /**
   * Receives a message, and blocks the thread until there is one; undefined if the time is up first. Several can be
   * received before the first is released.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws `ERR_MMAP_BUSY` if a `receiveAsync` is pending; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  receive(timeout?: number): QueueMessage | undefined {
    const limit = toTimeout(timeout)
    this.#receiving.checkIdle()
    return this.#deliveries.take(limit)
  }

  /** Receives a message if there is one now, and no `receiveAsync` is pending. */
  tryReceive(): QueueMessage | undefined {
    return this.#receiving.isAwaited ? undefined : this.receive(0)
  }

  /**
   * As {@link receive}, without blocking the event loop. It keeps the process alive. If the promise rejects, nothing was
   * received.
   *
   * @param options the timeout in milliseconds, or that and an `AbortSignal`
   */
  receiveAsync(options?: number | Readonly<WaitOptions>): Promise<QueueMessage | undefined> {
    return this.#receiving.get(options, () => {
      this.#life.check()
      if (this.#isIdle()) return undefined
      const message = this.#deliveries.take(0)
      if (message === undefined) this.#words.prepare()
      return message
    })
  }

  /**
   * Receives up to `most` messages that are there. If there is none, waits for one as {@link receive} does; returns none
   * if the time is up first. Each belongs to this receiver until it is released or requeued. Their data may share
   * memory. Long messages come in smaller batches: a megabyte in all, or one message.
   *
   * @param timeout in milliseconds; for ever if there is none
   * @throws as {@link receive}
   */
  receiveMany(most: number, timeout?: number): QueueMessage[] {
    return this.#deliveries.takeMany(...this.#receiving.toMany(most, timeout))
  }

  /**
   * The messages, until the queue is closed. Each is released when the loop goes on to the next one. A loop that is left
   * by `break` or an error requeues its message, unless that was released.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<QueueMessage, undefined, undefined> {
    for (;;) {
      let message: QueueMessage | undefined
      try {
        message = await this.receiveAsync()
      } catch (error) {
        if (this.closed) return
        throw error
      }
      if (message === undefined) continue
      let isDone = false
      try {
        yield message
        isDone = true
      } finally {
        if (isOwn(message) && !this.closed) {
          if (isDone) message.release()
          else message.requeue()
        }
      }
    }
  }

  /**
   * Ends pending calls and requeues the messages that were received and not released. The queue stays in the memory, and
   * the mapping stays open.
   */
  close(): void {
    if (this.#life.close() && !this.#life.map.closed) call(this.#life.map, () => native.queueRequeueAll(this.#native))
  }

  toJSON(): object {
    const { capacity, maxLength, closed } = this
    return { capacity, maxLength, closed }
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * Whether there is neither a new message nor one that was given back. Receivers that died may have left some: the native
   * library looks for those before it sleeps, as it has to ask the system about each receiver.
   */
  #isIdle(): boolean {
    const { halves, isReady } = this.#words
    // In a longer ring the halves could be equal while the words are not.
    if (!isReady || halves.length === 0 || this.#max >= 2 ** 30) return false
    return (
      Atomics.load(halves, HEAD) === halves[NEXT] &&
      halves[RETURNED] === 0 &&
      halves[RETURNED + 1] === 0 &&
      this.#words.intact
    )
  }
}
