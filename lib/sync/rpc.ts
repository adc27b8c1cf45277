// A request and its reply, between processes.

import { toBoolean } from '../arguments.js'
import { check } from '../choices.js'
import { illegalConstructor, invalidType, KEY, outOfRange } from '../errors.js'
import { Handle, tag } from '../handle.js'
import { toSignal } from '../signal.js'
import { toCount, toLimit, toMessage, type WaitOptions } from './arguments.js'
import type { Channel } from './channel.js'
import { closeAll, Lifetime } from './lifetime.js'
import type { MemoryMap } from './main.js'
import { type ChannelOptions, CREATE, EITHER } from './opening.js'
import { Client } from './rpc-client.js'
import { HEAD } from './rpc-message.js'
import { awaitRegion, channelAt, makeRegion, openRegion, type Region, type RpcRange } from './rpc-region.js'
import { type RpcHandler, type RpcReply, type ServeOptions, Server } from './rpc-server.js'

/**
 * Requests from many clients to one server, which replies to each.
 *
 * No request is received twice. If the server dies before it replies, the call is rejected; requests that it has not
 * received wait for the next server. A client that dies disturbs nobody else.
 *
 * ```js
 * const map = mapShared('calls', { protection: 'read-write', create: true, length: 2 ** 20 })
 * const rpc = Rpc.openOrCreate(map)
 * rpc.serve((request) => `hello ${request}`) // in one process
 * const reply = await rpc.call('world') // in others
 * rpc.close() // serves no more
 * ```
 */
export class Rpc extends Handle {
  static {
    tag(this)
  }

  readonly #region: Region
  readonly #life: Lifetime
  readonly #requests: Channel
  readonly #servers = new Set<Server>()
  #client: Client | undefined

  private constructor(region: Region, key: typeof KEY) {
    super()
    if (key !== KEY) throw illegalConstructor('`Rpc.create` or `Rpc.open`')
    this.#region = region
    this.#life = new Lifetime(region.map, 'Rpc')
    this.#requests = channelAt(region)
  }

  /**
   * Makes an Rpc in a shared and writable mapping, over whatever was there: a channel for requests, and one of the same
   * length for the replies to each client.
   *
   * @throws `ERR_OUT_OF_RANGE` if they do not fit; `ERR_MMAP_BUSY` if another process takes more than five seconds to make
   *   one there; as `Channel.create`
   */
  static create(map: MemoryMap<any>, options?: Readonly<RpcRange>): Rpc {
    return new Rpc(makeRegion(map, options, CREATE), KEY)
  }

  /**
   * Opens an existing Rpc.
   *
   * @throws `ERR_MMAP_INVALID` if there is none, not all of one, or one of another version
   */
  static open(map: MemoryMap<any>, options?: Readonly<ChannelOptions>): Rpc {
    return new Rpc(openRegion(map, options), KEY)
  }

  /**
   * Opens the Rpc that is there, or makes one if the memory is zero. All who call it at the same moment get the same.
   *
   * @param options the length and the clients are for a new one; one that is there has its own
   * @throws `ERR_MMAP_INVALID` if something else is there; as {@link create} and {@link open}
   */
  static openOrCreate(map: MemoryMap<any>, options?: Readonly<RpcRange>): Rpc {
    return new Rpc(makeRegion(map, options, EITHER), KEY)
  }

  /**
   * Opens the Rpc. Waits until there is one if the memory is still zero; undefined if the time is up first.
   *
   * @param options where it is, the timeout in milliseconds, and an `AbortSignal`
   * @throws as {@link open}
   */
  static openAsync(map: MemoryMap<any>, options?: Readonly<ChannelOptions & Pick<WaitOptions, 'signal'>>): Promise<Rpc>
  static openAsync(
    map: MemoryMap<any>,
    options: Readonly<ChannelOptions & WaitOptions> | undefined,
  ): Promise<Rpc | undefined>
  static async openAsync(
    map: MemoryMap<any>,
    options?: Readonly<ChannelOptions & WaitOptions>,
  ): Promise<Rpc | undefined> {
    const { offset, ...rest } = check<ChannelOptions & WaitOptions>(options, ['offset', 'timeout', 'signal'])
    const region = await awaitRegion(map, offset, toLimit(rest))
    return region === undefined ? undefined : new Rpc(region, KEY)
  }

  /** How many clients can call at a time. */
  get clients(): number {
    return this.#region.clients
  }

  /** Bytes of the longest request, and of the longest reply. */
  get maxLength(): number {
    return this.#requests.maxLength - HEAD
  }

  /** Whether `close()` was called, here or on the mapping. */
  get closed(): boolean {
    return this.#life.closed
  }

  /**
   * Answers requests until this is closed or the signal is aborted, beginning with those that no server has received.
   * After an abort it resolves once all requests that were received have been answered.
   *
   * To replace a server without an interruption, start the next one with `wait: true`, and then abort the signal of the one
   * that serves. Waiting keeps the process alive.
   *
   * If the handler throws, the client's call is rejected with the message, and serving goes on. If it returns promises,
   * several requests are worked on at a time. Replies that a client does not take wait in this process, and do not hold up
   * other clients.
   *
   * @param handler gets a request, and returns its reply
   * @throws `ERR_MMAP_BUSY` if another server is alive, here or in another process, and this one is not to `wait`;
   *   `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`; `ERR_MMAP_CLOSED` if the mapping is resized
   */
  async serve(handler: RpcHandler, options?: Readonly<ServeOptions>): Promise<void> {
    if (typeof handler !== 'function') throw invalidType('handler', 'a function', handler)
    const { wait, signal, concurrency } = check<ServeOptions>(options, ['wait', 'signal', 'concurrency'])
    const waits = toBoolean(wait, 'options.wait', false)
    const end = toSignal(signal)
    const most =
      concurrency === undefined || concurrency === Infinity ? Infinity : toCount(concurrency, 'options.concurrency', 1)
    this.#life.check()
    const server = new Server(this.#region, handler, most)
    this.#servers.add(server)
    try {
      await server.run(end, waits)
    } finally {
      this.#servers.delete(server)
    }
  }

  /**
   * Sends a request, and resolves to its reply. Any number of calls can wait at a time. They wait for a server if there is
   * none, and keep the process alive.
   *
   * The first call takes one of the places for clients, until this is closed or its process dies.
   *
   * @param data a string is sent as UTF-8
   * @param options the timeout in milliseconds, or that and an `AbortSignal`. A request that was already sent is not taken
   *   back
   * @throws `ERR_MMAP_REMOTE` if the handler threw; `ERR_MMAP_SERVER_GONE` if the server received the request, and was
   *   closed or died before it replied; `ERR_MMAP_TIMED_OUT`; `ERR_MMAP_BUSY` if there are as many clients as
   *   there can be; `ERR_OUT_OF_RANGE` if the request or the reply is longer than {@link maxLength};
   *   `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
   */
  async call(data: RpcReply, options?: number | Readonly<WaitOptions>): Promise<Buffer> {
    const limit = toLimit(options)
    const bytes = toMessage(data)
    this.#life.check()
    const { maxLength } = this
    if (bytes.length > maxLength) throw outOfRange('data', `at most ${maxLength} bytes`, bytes.length)
    this.#client ??= new Client(this.#life, this.#region, this.#requests)
    return await this.#client.call(bytes, limit)
  }

  /** Stops serving, and rejects the calls that wait. The Rpc stays in the memory, and the mapping stays open. */
  close(): void {
    if (!this.#life.close()) return
    closeAll([this.#client, ...this.#servers, this.#requests])
  }

  toJSON(): object {
    const { clients, maxLength, closed } = this
    return { clients, maxLength, closed }
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }
}
