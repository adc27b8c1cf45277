// The memory of an Rpc: how it is divided into channels, made and found (docs/rpc.md).

import { check } from '../choices.js'
import { closedError, outOfRange, withCode } from '../errors.js'
import { now } from '../timers.js'
import { type Limit, toCount, toExtent, toOffset, toToken } from './arguments.js'
import { Channel } from './channel.js'
import type { MemoryMap } from './main.js'
import { Mutex } from './mutex.js'
import { type ChannelOptions, type ChannelRange, CREATE, EITHER } from './opening.js'
import { notify, waitAsync } from './wait.js'

/** Where to put an {@link Rpc}, its length, and how many can call. */
export interface RpcRange extends ChannelRange {
  /** How many clients can call at a time, each through a mapping of its own or an `Rpc` of its own. Default: 16. */
  readonly clients?: number | undefined
}

/** An Rpc in the memory. */
export interface Region {
  readonly map: MemoryMap<any>
  /** Where it begins. */
  readonly start: number
  /** Bytes of each channel. */
  readonly size: number
  readonly clients: number
}

const MAGIC = Buffer.from('MMAP-RPC').readBigInt64LE()
const VERSION = 1n
/** Bytes of the head, and where in it the lock is that whoever makes an Rpc holds. */
const [HEAD, MAKER] = [128, 64]
/** Bytes of the smallest channel. */
const SMALLEST = 640
const DEFAULT_CLIENTS = 16
/** How long another process may take to make one, in milliseconds. */
const MAKING = 5000
/** How often to look for one, in milliseconds: there is no wake-up if its maker is killed just before that. */
const SLICE = 500

/** Makes one, or opens the one that is there if `how` says so. */
export function makeRegion(map: MemoryMap<any>, options: unknown, how: typeof CREATE | typeof EITHER): Region {
  toToken(map)
  const { offset, length, clients } = check<RpcRange>(options, ['offset', 'length', 'clients'])
  const start = toStart(map, offset)
  const [, total] = toExtent(map, offset, length)
  const count = clients === undefined ? DEFAULT_CLIENTS : toCount(clients, 'options.clients', 1)
  const size = Math.floor((total - HEAD) / (count + 1) / 64) * 64
  const least = HEAD + (count + 1) * SMALLEST
  if (size < SMALLEST) {
    throw outOfRange('options.length', `at least ${least} bytes for ${count} clients, and inside the mapping`, total)
  }
  if (start + total > map.length) {
    throw outOfRange('options.length', `at most ${map.length - start}, the rest of the mapping`, total)
  }
  const region = { map, start, size, clients: count }
  if (how === EITHER) return find(map, start) ?? alone(region, () => find(map, start) ?? store(region))
  return alone(region, () => store(region))
}

/** Opens one. */
export function openRegion(map: MemoryMap<any>, options: unknown): Region {
  toToken(map)
  const { offset } = check<ChannelOptions>(options, ['offset'])
  const found = find(map, toStart(map, offset))
  if (found === undefined) throw invalid(NONE)
  return found
}

/** Waits until there is one; undefined if there is none in time. */
export async function awaitRegion(
  map: MemoryMap<any>,
  offset: unknown,
  { timeout, signal }: Limit,
): Promise<Region | undefined> {
  toToken(map)
  const start = toStart(map, offset)
  const end = timeout < 0 ? Infinity : now() + timeout
  for (;;) {
    const found = find(map, start)
    const left = Math.min(SLICE, end - now())
    if (found !== undefined || left <= 0) return found
    await waitAsync(map, start, 0, { timeout: left, signal })
  }
}

/** The channel for requests, or that for the replies to a client. */
export function channelAt({ map, start, size }: Region, client = -1): Channel {
  return Channel.open(map, { offset: start + HEAD + (client + 1) * size })
}

const NONE = 'there is no Rpc: what is there was not made by `create`, or is too short for one'

function invalid(message: string): Error {
  return withCode(new Error(`${message[0]!.toUpperCase()}${message.slice(1)}`), 'ERR_MMAP_INVALID')
}

function toStart(map: MemoryMap<any>, offset: unknown): number {
  const start = toOffset(offset)
  if (map.closed) throw closedError()
  if ((map.address + BigInt(start)) % 64n !== 0n)
    throw outOfRange('options.offset', 'a multiple of 64 in memory', offset)
  return start
}

function wordsOf(map: MemoryMap<any>, start: number): BigInt64Array {
  return map.typedArray(BigInt64Array, start, MAKER / 8)
}

/** The one that is there; undefined in memory that is zero. */
function find(map: MemoryMap<any>, start: number): Region | undefined {
  if (start + HEAD > map.length) throw invalid(NONE)
  const magic = Atomics.load(wordsOf(map, start), 0)
  // A copy, because `read` throws where the file was truncated.
  const head = map.read(start, MAKER)
  if (magic === 0n) return undefined
  if (magic !== MAGIC) throw invalid(NONE)
  if (head.readBigInt64LE(8) !== VERSION) throw invalid('the Rpc has another version of the layout')
  const size = Number(head.readBigUInt64LE(16))
  const clients = Number(head.readBigUInt64LE(24))
  if (size < SMALLEST || size % 64 !== 0 || clients < 1) throw invalid('the Rpc has an impossible size')
  if (start + HEAD + (clients + 1) * size > map.length) throw invalid('the Rpc is cut short')
  return { map, start, size, clients }
}

/** Runs `make` while no other process makes one there. */
function alone({ map, start }: Region, make: () => Region): Region {
  const maker = new Mutex(map, start + MAKER)
  if (maker.lock(MAKING) === 'timed-out') {
    const message = 'Another process has begun to make it, and has not finished'
    throw withCode(new Error(message), 'ERR_MMAP_BUSY')
  }
  try {
    return make()
  } finally {
    maker.unlock()
  }
}

/** Makes all of it, and the magic number last: whoever dies before that has made nothing. */
function store(region: Region): Region {
  const { map, start, size, clients } = region
  const words = wordsOf(map, start)
  Atomics.store(words, 0, 0n)
  Atomics.store(words, 1, VERSION)
  Atomics.store(words, 2, BigInt(size))
  Atomics.store(words, 3, BigInt(clients))
  for (let i = 0; i <= clients; i++) Channel.create(map, { offset: start + HEAD + i * size, length: size })
  Atomics.store(words, 0, MAGIC)
  notify(map, start)
  return region
}
