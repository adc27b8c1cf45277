// The side of an Rpc that calls.

import { aborted, withCode } from '../errors.js'
import { onAbort } from '../signal.js'
import { clearTimeout, now, setTimeout } from '../timers.js'
import type { NativeChannel } from '../binding.js'
import type { Limit } from './arguments.js'
import { behindOf, type Channel } from './channel.js'
import type { Lifetime } from './lifetime.js'
import { native } from './main.js'
import { call } from './pending.js'
import { HEAD, headOf, isSameCaller, lastOf, numberOf, requestOf, THROWN, TOO_LONG, VALUE } from './rpc-message.js'
import { channelAt, type Region } from './rpc-region.js'
import { LONGEST, Turns } from './turns.js'

/** How often to look whether the server is alive while calls wait, in milliseconds. */
const CHECK = 200

/** A call that waits for its reply. */
interface Call {
  /** Where its request ends in the stream of bytes; 0 before it is sent. */
  end: bigint
  resolve(reply: Buffer): void
  reject(error: unknown): void
}

/** Calls, and has a channel of its own for the replies. */
export class Client {
  readonly #life: Lifetime
  readonly #requests: NativeChannel
  readonly #replies: Channel
  /** What all requests begin with. */
  readonly #head: Buffer
  /** How many messages there can be in a channel. */
  readonly #room: number
  readonly #turns = new Turns()
  readonly #calls = new Map<number, Call>()
  #number = 0
  #isReceiving = false
  #checked = 0

  constructor(life: Lifetime, region: Region, requests: Channel) {
    this.#life = life
    this.#requests = behindOf(requests)
    const [replies, client] = join(region)
    this.#replies = replies
    this.#head = headOf(native.channelReceiver(behindOf(replies)), client)
    this.#room = Math.ceil(replies.capacity / HEAD)
  }

  call(bytes: Uint8Array, limit: Limit): Promise<Buffer> {
    const number = this.#nextNumber()
    const request = requestOf(this.#head, number, bytes)
    return new Promise((resolve, reject) => this.#begin(number, request, limit, resolve, reject))
  }

  /** Rejects all calls, and leaves the channel to another client. */
  close(): void {
    this.#rejectAll(withCode(new Error('The Rpc is closed'), 'ERR_MMAP_CLOSED'))
    if (!this.#turns.busy) this.#replies.close()
    // Another client may take the place only when the pending sends, which have been told to end, have ended.
    else void this.#turns.ended.then(() => this.#replies.close()).catch(() => {}) // a fault, which the mapping tells
  }

  #nextNumber(): number {
    do this.#number = (this.#number + 1) >>> 0
    while (this.#calls.has(this.#number))
    return this.#number
  }

  #begin(
    number: number,
    request: Buffer,
    { timeout, signal }: Limit,
    resolve: (reply: Buffer) => void,
    reject: (error: unknown) => void,
  ): void {
    const settle = (end: () => void): void => {
      if (!this.#calls.delete(number)) return
      clearTimeout(timer)
      forget?.()
      end()
    }
    const one: Call = {
      end: 0n,
      resolve: (reply) => settle(() => resolve(reply)),
      reject: (error) => settle(() => reject(error)),
    }
    const late = (): void => one.reject(timedOut())
    const timer = timeout < 0 || timeout > LONGEST ? undefined : setTimeout(late, timeout)
    const forget = onAbort(signal, () => one.reject(aborted(signal!)))
    this.#calls.set(number, one)
    try {
      if (this.#trySend(one, request)) void this.#receive()
      else this.#sendInTurn(one, request, { timeout, signal }).catch(one.reject)
    } catch (error) {
      one.reject(error)
    }
  }

  #trySend(one: Call, request: Buffer): boolean {
    if (this.#turns.busy) return false
    const isSent = call(this.#life.map, () => native.channelSend(this.#requests, request, 0))
    if (isSent) one.end = native.channelSent(this.#requests)
    return isSent
  }

  async #sendInTurn(one: Call, request: Buffer, limit: Limit): Promise<void> {
    const isSent = await this.#turns.run(limit, false, async (left) => {
      this.#life.check()
      const code = await this.#life.wait(left, (...wait) => native.channelSendAsync(this.#requests, request, ...wait))
      // To be read before the next one is sent.
      if (code === 0) one.end = native.channelSent(this.#requests)
      return code === 0
    })
    if (isSent) void this.#receive()
  }

  /** Receives replies for as long as calls wait for any. */
  async #receive(): Promise<void> {
    if (this.#isReceiving) return
    this.#isReceiving = true
    this.#checked = now()
    try {
      while (this.#calls.size > 0) {
        const reply = await this.#replies.receiveAsync(CHECK)
        if (reply !== undefined) this.#take(reply)
        if (reply === undefined || now() - this.#checked > CHECK) this.#check()
      }
    } catch (error) {
      this.#rejectAll(error)
    } finally {
      this.#isReceiving = false
    }
  }

  #take(reply: Buffer): void {
    if (reply.length < HEAD || !isSameCaller(reply, this.#head)) return // for whoever had this channel before
    const one = this.#calls.get(numberOf(reply))
    if (one === undefined) return // nobody waits for it any more
    const bytes = reply.subarray(HEAD)
    const status = lastOf(reply)
    if (status === VALUE) one.resolve(bytes)
    else if (status === THROWN) one.reject(withCode(new Error(bytes.toString()), 'ERR_MMAP_REMOTE'))
    else if (status === TOO_LONG) one.reject(withCode(new RangeError(bytes.toString()), 'ERR_OUT_OF_RANGE'))
  }

  /** Rejects the calls whose server is gone. */
  #check(): void {
    this.#checked = now()
    const gone = call(this.#life.map, () => native.channelGone(this.#requests))
    // What a server that is gone has answered is here by now.
    for (let i = 0; i <= this.#room; i++) {
      const reply = this.#replies.tryReceive()
      if (reply === undefined) break
      this.#take(reply)
    }
    for (const one of this.#calls.values()) if (one.end !== 0n && one.end <= gone) one.reject(serverGone())
  }

  #rejectAll(error: unknown): void {
    for (const one of this.#calls.values()) one.reject(error)
  }
}

/** A channel for replies that no living client has, and its number. */
function join(region: Region): [replies: Channel, client: number] {
  for (let client = 0; client < region.clients; client++) {
    const replies = channelAt(region, client)
    try {
      replies.tryReceive() // makes this the receiver; what is there was for another one
      return [replies, client]
    } catch (error) {
      replies.close()
      if ((error as { code?: unknown }).code !== 'ERR_MMAP_BUSY') throw error
    }
  }
  const message = `The Rpc has ${region.clients} clients, which is as many as it can have, and all are alive`
  throw withCode(new Error(message), 'ERR_MMAP_BUSY')
}

function timedOut(): Error {
  return withCode(new Error('No reply came in time'), 'ERR_MMAP_TIMED_OUT')
}

function serverGone(): Error {
  const message = 'The server received the request, and was closed or died before it replied'
  return withCode(new Error(message), 'ERR_MMAP_SERVER_GONE')
}
