// The side of an Rpc that answers.

import { withCode } from '../errors.js'
import { toMessage } from './arguments.js'
import { behindOf, Channel, waitToReceive } from './channel.js'
import { closeAll } from './lifetime.js'
import { native } from './main.js'
import { callerOf, failureOf, HEAD, lastOf, replyTo, THROWN, TOO_LONG, VALUE } from './rpc-message.js'
import { channelAt, type Region } from './rpc-region.js'

/** The bytes of a reply; a string is sent as UTF-8. */
export type RpcReply = NodeJS.ArrayBufferView | string

/** Answers a request. Its bytes are a copy, which it may keep. */
export type RpcHandler = (request: Buffer) => RpcReply | Promise<RpcReply>

/** When to begin and to stop serving, and how many requests to work on at a time. */
export interface ServeOptions {
  /**
   * Whether to wait while another server is there, and to begin when it has stopped or its process has died. Default:
   * false: `serve` rejects with `ERR_MMAP_BUSY` if there is another.
   */
  readonly wait?: boolean | undefined
  /** Stops serving when it is aborted. Requests that were received are still answered. */
  readonly signal?: AbortSignal | undefined
  /** How many requests to work on at a time, if the handler is asynchronous. Default: no limit. */
  readonly concurrency?: number | undefined
}

/** How often to look whether a client is alive while its replies wait, in milliseconds. */
const SLICE = 500

/** The replies to one client. If it is slow, they wait here, and hold up nobody else. */
class Outbox {
  readonly #channel: Channel
  readonly #waiting: Buffer[] = []

  constructor(channel: Channel) {
    this.#channel = channel
  }

  /** Sends a reply, or has it wait. The promise resolves when all is sent, or the client is gone. */
  send(reply: Buffer): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#channel.trySend(reply)) return undefined
    return this.#waiting.push(reply) === 1 ? this.#sendAll() : undefined
  }

  close(): void {
    this.#channel.close()
  }

  async #sendAll(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      // If another client takes the place meanwhile, it drops what it finds.
      const isThere = native.channelLivingReceiver(behindOf(this.#channel)) === callerOf(next)
      if (!isThere || (await this.#channel.sendAsync(next, SLICE))) this.#waiting.shift()
    }
  }
}

/** Answers requests from when it is made until it is closed. */
export class Server {
  readonly #region: Region
  readonly #handler: RpcHandler
  readonly #concurrency: number
  /** Its receiver is this server, for as long as it serves. */
  readonly #requests: Channel
  readonly #outboxes: (Outbox | undefined)[] = []
  /** What is not done yet: requests that the handler has, and replies that wait. */
  readonly #jobs = new Set<Promise<void>>()
  #running = 0
  /** Called when a job is done, or all is over. */
  #goOn: (() => void) | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(region: Region, handler: RpcHandler, concurrency: number) {
    this.#region = region
    this.#handler = handler
    this.#concurrency = concurrency
    this.#requests = channelAt(region)
  }

  /** Serves until it is closed, or `signal` is aborted and what was received is answered; may `wait` for its turn. */
  async run(signal: AbortSignal | undefined, wait: boolean): Promise<void> {
    try {
      await this.#receiveAll(signal, wait)
      // Until then this stays the receiver: calls whose receiver is gone are rejected.
      while (this.#jobs.size > 0 && !this.#requests.closed) await this.#change()
    } catch (error) {
      if (!this.#requests.closed) throw error
    } finally {
      this.close()
    }
    if (this.#failure !== undefined) throw this.#failure.error
  }

  close(): void {
    this.#goOn?.()
    closeAll([this.#requests, ...this.#outboxes])
  }

  async #receiveAll(signal: AbortSignal | undefined, wait: boolean): Promise<void> {
    const isOver = () => signal?.aborted === true || this.#requests.closed
    if (isOver()) {
      if (!wait && native.channelLivingReceiver(behindOf(this.#requests)) !== 0n) throw isServed()
      return
    }
    let request = this.#begin(wait)
    let isWaiting = request === false
    for (;;) {
      if (request) this.#answer(request)
      while (this.#running >= this.#concurrency && !isOver()) await this.#change()
      if (isOver()) return
      try {
        if (isWaiting) await waitToReceive(this.#requests, { timeout: -1, signal })
        isWaiting = false
        request = await this.#requests.receiveAsync({ signal })
      } catch (error) {
        if (isOver()) return
        throw error
      }
    }
  }

  /** Becomes the server; gives a request if there is one, or `false` if another one serves and this is to wait. */
  #begin(wait: boolean): Buffer | undefined | false {
    try {
      return this.#requests.tryReceive()
    } catch (error) {
      if (codeOf(error) !== 'ERR_MMAP_BUSY') throw error
      if (wait) return false
      throw isServed()
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => (this.#goOn = resolve))
  }

  #answer(request: Buffer): void {
    if (request.length < HEAD || lastOf(request) >= this.#region.clients) return // from no client
    let reply: RpcReply | PromiseLike<RpcReply>
    let isPromise: boolean
    try {
      reply = this.#handler(request.subarray(HEAD))
      isPromise = typeof (reply as Partial<PromiseLike<RpcReply>> | undefined)?.then === 'function'
    } catch (error) {
      this.#refuse(request, error)
      return
    }
    if (!isPromise) {
      this.#reply(request, reply as RpcReply)
      return
    }
    this.#running++
    const job = Promise.resolve(reply).then(
      (value) => this.#reply(request, value),
      (error) => this.#refuse(request, error),
    )
    this.#track(job.finally(() => this.#running--))
  }

  #reply(request: Buffer, value: RpcReply): void {
    let bytes: Uint8Array
    try {
      bytes = toMessage(value)
    } catch (error) {
      this.#refuse(request, error)
      return
    }
    const most = this.#requests.maxLength - HEAD
    if (bytes.length <= most) this.#send(replyTo(request, VALUE, bytes), request)
    else this.#fail(request, TOO_LONG, `The reply has ${bytes.length} bytes, and ${most} is the most`)
  }

  #refuse(request: Buffer, error: unknown): void {
    this.#fail(request, THROWN, messageOf(error))
  }

  #fail(request: Buffer, status: typeof THROWN | typeof TOO_LONG, message: string): void {
    this.#send(failureOf(request, status, message, this.#requests.maxLength), request)
  }

  #send(reply: Buffer, request: Buffer): void {
    if (this.#requests.closed) return
    const client = lastOf(request)
    try {
      const outbox = (this.#outboxes[client] ??= new Outbox(channelAt(this.#region, client)))
      const sending = outbox.send(reply)
      if (sending !== undefined) this.#track(sending.catch((error: unknown) => this.#lose(client, error)))
    } catch (error) {
      this.#lose(client, error)
    }
  }

  /** Gives up the replies to a client, or serving, because one cannot be sent. */
  #lose(client: number, error: unknown): void {
    if (this.#requests.closed) return
    // Only this channel is damaged: other clients are served as before.
    if (codeOf(error) === 'ERR_MMAP_INVALID') {
      this.#outboxes[client]?.close()
      this.#outboxes[client] = undefined
    } else {
      this.#stop(error)
    }
  }

  #stop(error: unknown): void {
    if (this.#requests.closed) return
    this.#failure = { error }
    this.close()
  }

  #track(job: Promise<void>): void {
    this.#jobs.add(job)
    void job
      .catch((error: unknown) => this.#stop(error))
      .finally(() => {
        this.#jobs.delete(job)
        this.#goOn?.()
      })
  }
}

function isServed(): Error {
  return withCode(new Error('Another server is alive here'), 'ERR_MMAP_BUSY')
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code
}

/** The message of what the handler has thrown, which may be anything. */
function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.message) : String(error)
  } catch {
    return 'The handler threw something that has no text'
  }
}
