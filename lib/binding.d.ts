/** What a mapping is called; never used twice. */
export type Token = number

/** What a function returns that throws the errors of the core. */
export type Outcome<T> = T

export declare class NativeBarrier {
  constructor(map: Token, offset: number, parties?: number | undefined | null)
  /** Which party this is; 4294967295 timed out. */
  wait(timeout: number): number
  waitAsync(timeout: number, pending: NativeWait): Promise<number>
  abort(): void
  reset(): void
  parties(): number
  waiting(): number
  isBroken(): boolean
}

export declare class NativeBroadcast {
  /** Makes a broadcast of `length` bytes, or opens one where `length` is negative. */
  constructor(map: Token, offset: number, length: number, lossless: boolean)
  get capacity(): number
  get maxLength(): number
  get lossless(): boolean
  /** For the functions below, which are called often. */
  handle(): object
  sendAsync(data: Uint8Array, timeout: number, pending: NativeWait): Promise<number>
  subscribe(oldest: boolean): NativeReceiver
}

export declare class NativeChannel {
  /** Makes a channel of `length` bytes (`how` is 0), opens one (1), or makes one if there is none (2). */
  constructor(map: Token, offset: number, length: number, how: number)
  get capacity(): number
  /** What the receiver's word is while this is the receiver. */
  receiver(): bigint
  /** The receiver's word, or 0 where no living one receives. */
  livingReceiver(): bigint
  /** Where in the stream of bytes the message ends that this has sent last. */
  sent(): bigint
  /** Up to where in the stream of bytes messages were received by receivers that are gone. */
  gone(): bigint
  get maxLength(): number
  /** For the functions below, which are called often. */
  handle(): object
  sendAsync(data: Uint8Array, timeout: number, pending: NativeWait): Promise<number>
  /** Waits until there is a message: 0, or 2 where there is none in time. */
  readyAsync(timeout: number, pending: NativeWait): Promise<number>
  /** Becomes the receiver as soon as no other one is alive: 0, or 2 where one is until the time is up. */
  waitToReceive(timeout: number, pending: NativeWait): Promise<number>
  /** Takes room for a message; its offset in the mapping, or -1 where there is none in time. */
  reserve(length: number, timeout: number): number
  /**
   * The same on another thread, one at a time: 0, and then `reserved` has it, or 2 where there is
   * none in time.
   */
  reserveAsync(length: number, timeout: number, pending: NativeWait): Promise<number>
  /** What `reserveAsync` has reserved; its offset in the mapping, or -1. */
  reserved(): number
  /**
   * Sends the first `length` bytes of what was reserved, or nothing where `length` is negative;
   * `false` where nothing is reserved at `offset`.
   */
  commit(offset: number, length: number): boolean
  /** Receives a message and leaves it where it is: its offset in the mapping and its length. */
  borrow(timeout: number): Array<number> | null
  /** Gives back what was borrowed; `false` where nothing was. */
  release(offset: number): boolean
  /** How many messages there are, and how many bytes in them. */
  pending(): Array<number>
  /** Lets another one be the receiver. */
  stopReceiving(): void
}

export declare class NativeCondition {
  constructor(map: Token, offset: number)
  /** For the function below, which is called often. */
  handle(): object
  /** Releases the mutex, and takes it again: 0 notified, 1 recovered, 2 timed out. */
  wait(mutex: object, timeout: number): number
  /** The same; the mutex is released when this returns. */
  waitAsync(mutex: object, timeout: number, pending: NativeWait): Promise<number>
}

export declare class NativeEvent {
  constructor(map: Token, offset: number)
  /** For the functions below, which are called often. */
  handle(): object
  isSet(): boolean
  /** 0 set, 2 timed out. */
  wait(timeout: number): number
  waitAsync(timeout: number, pending: NativeWait): Promise<number>
}

export declare class NativeLatest {
  constructor(map: Token, offset: number, length: number)
  get maxLength(): number
  /** For the functions below, which are called often. */
  handle(): object
  /** How many values were written. */
  version(): number
  /** Waits for another version: 0, or 2 where there is none in time. */
  wait(version: number, timeout: number): number
  waitAsync(version: number, timeout: number, pending: NativeWait): Promise<number>
}

export declare class NativeMutex {
  constructor(map: Token, offset: number)
  /** For the functions below, which are called often. */
  handle(): object
  /** What the word is while this mapping holds the lock and nobody waits for it. */
  held(): bigint
  lockAsync(timeout: number, pending: NativeWait): Promise<number>
}

export declare class NativeQueue {
  /** Makes a queue of `length` bytes (`how` is 0), opens one (1), or makes one if there is none (2). */
  constructor(map: Token, offset: number, length: number, how: number)
  get capacity(): number
  get maxLength(): number
  /** For the functions below, which are called often. */
  handle(): object
  sendAsync(data: Uint8Array, timeout: number, pending: NativeWait): Promise<number>
  /** Waits until there is a message: 0, or 2 where there is none in time. */
  readyAsync(timeout: number, pending: NativeWait): Promise<number>
  /** Gives all messages up. */
  requeueAll(): void
  /** How many messages wait and how many bytes are in them, and how many receivers have. */
  pending(): Array<number>
}

export declare class NativeReceiver {
  /** For the function below, which is called often. */
  handle(): object
  /** How many messages were lost. */
  lost(): number
  /** Waits until there is a message: 0, or 2 where there is none in time. */
  readyAsync(timeout: number, pending: NativeWait): Promise<number>
  /** Receives a message and leaves it where it is: its offset in the mapping and its length. */
  borrow(timeout: number): Array<number> | null
  /** Gives back what was borrowed; `false` where nothing was. */
  release(offset: number): boolean
  close(): void
}

export declare class NativeRwLock {
  constructor(map: Token, offset: number)
  /** For the functions below, which are called often. */
  handle(): object
  lockSharedAsync(timeout: number, pending: NativeWait): Promise<number>
  lockExclusiveAsync(timeout: number, pending: NativeWait): Promise<number>
}

export declare class NativeSemaphore {
  constructor(map: Token, offset: number, initial?: number | undefined | null)
  /** For the functions below, which are called often. */
  handle(): object
  acquireAsync(timeout: number, pending: NativeWait): Promise<number>
}

/** Tells tasks on other threads to stop. */
export declare class NativeStop {
  constructor()
  /** Does it; `false` where it was done already, or a task that only begins or does not has begun. */
  stop(): boolean
  /** Whether it was done. */
  get stopped(): boolean
}

/** Ends a wait on another thread. */
export declare class NativeWait {
  constructor()
  /** Rejects the promise, unless that is too late. The wait has nothing then. */
  end(): void
}

/** Where the memory under a view is. */
export declare function addressOf(bytes: Uint8Array): number

/** Another name of what `handle` has named, on any thread; null where this process has not made the handle. */
export declare function adopt(handle: string): NativeAdopted | null

/** What each advice is called, by its number. */
export declare function adviceNames(): Array<string>

/** What the start of a mapping is a multiple of, in bytes. */
export declare function allocationGranularity(): number

/** Notes, when JavaScript is about to end on this thread, which ArrayBuffers have their memory. */
export declare function beforeExit(): void

/** Receives a message as `channelReceive` does. */
export declare function broadcastReceive(receiver: object, target: Buffer, offset: number, timeout: number): number

/** Receives messages as `channelReceiveMany` does. */
export declare function broadcastReceiveMany(receiver: object, target: Buffer, offset: number, ends: Uint32Array, most: number, timeout: number): number

/**
 * Sends a message; `false` where there is no room for it in time. Does not wait where `timeout` is
 * 0.
 */
export declare function broadcastSend(broadcast: object, data: Uint8Array, timeout: number): boolean

/** Sends messages as `channelSendMany` does. */
export declare function broadcastSendMany(broadcast: object, data: Uint8Array, ends: Uint32Array, count: number, timeout: number): number

/**
 * Whether this runtime makes a SharedArrayBuffer of memory that it does not own: some have the
 * function, and refuse. So it is asked for one of a byte.
 */
export declare function canShareExternal(): boolean

/** Waits until there is a channel: 0, or 2 where there is none in time. */
export declare function channelMade(map: Token, offset: number, timeout: number, pending: NativeWait): Promise<number>

/**
 * Receives a message into `target`, from `offset` on, and says how long it is; -1 where there is
 * none in time; -2 less the length of one for which there is no room, and which stays. Does not
 * wait where `timeout` is 0.
 */
export declare function channelReceive(channel: object, target: Buffer, offset: number, timeout: number): number

/**
 * As `channelReceive`, and copies messages that come next, each to a multiple of eight from `offset` on:
 * up to `most` in all, and says how many. Those after the first are received when JavaScript moves the
 * tail. `places` gets three numbers for each: where its copy ends, the lower half of the tail behind it,
 * and 1 where that passes an eighth of the ring.
 */
export declare function channelReceiveAhead(channel: object, target: Buffer, offset: number, places: Int32Array, most: number, timeout: number): number

/**
 * Receives up to `most` messages into `target`, from `offset` on, each at a multiple of eight from
 * there, and says how many; the others as for `channelReceive`.
 */
export declare function channelReceiveMany(channel: object, target: Buffer, offset: number, ends: Uint32Array, most: number, timeout: number): number

/**
 * Sends a message; `false` where there is no room for it in time. Does not wait where `timeout` is
 * 0.
 */
export declare function channelSend(channel: object, data: Uint8Array, timeout: number): boolean

/**
 * Sends messages that lie one behind the other, up to the first `count` of `ends`; says how many
 * there was room for in time. Does not wait where `timeout` is 0.
 */
export declare function channelSendMany(channel: object, data: Uint8Array, ends: Uint32Array, count: number, timeout: number): number

/** Wakes the senders that wait for room. */
export declare function channelWakeSenders(channel: object): void

export declare function conditionNotify(condition: object, count: number): void

export declare function eventClear(event: object): void

export declare function eventSet(event: object): void

/** Whether this thread has the first loop of the process, which no worker has. Only for Node. */
export declare function hasFirstLoop(): boolean

/** Whether the system would grant so many bytes of memory now. */
export declare function hasMemory(length: number): boolean

/**
 * Four bytes that hold another number whenever pages of a mapping were replaced; null where the
 * runtime has no memory of ours.
 */
export declare function ipcChanges(): ArrayBuffer | null

/**
 * Sees that a range is in place: its address and how many faults its mapping had; null where faults
 * of JavaScript's are not contained. If it says the same twice, all stores in between have arrived.
 */
export declare function ipcMark(map: Token, offset: number, length: number): Array<number> | null

/** Wakes up to `count` waiters of the word, and says how many. */
export declare function ipcNotify(map: Token, offset: number, count: number): number

/** Sleeps while the word is `expected`: 0 woken, 1 not equal, 2 timed out. */
export declare function ipcWait(map: Token, offset: number, expected: number, timeout: number): number

/** The same on another thread. */
export declare function ipcWaitAsync(map: Token, offset: number, expected: number, timeout: number, pending: NativeWait): Promise<number>

/** Lets other threads run on this processor that wait for it. */
export declare function ipcYield(): void

/**
 * Copies the newest value into `target`, from `offset` on, unless there is too little room, and says
 * how long it is; -1 where there is none yet.
 */
export declare function latestRead(latest: object, target: Buffer, offset: number): number

/** Writes a value; `false` where other writers do until the time is up. */
export declare function latestWrite(latest: object, data: Uint8Array, timeout: number): boolean

/** Which memory has a name. */
export declare function listSharedMemory(): Outcome<NativeNamedMemory[]>

/**
 * Maps memory without a file. `huge` is the size of its huge pages in bytes, 0 for none, 1 for
 * those that the system makes by itself.
 */
export declare function mapAnonymous(length: number, shareable: boolean, protection: number, flags: number, address: bigint | undefined | null, huge: number): Outcome<number>

/**
 * Maps a file. A negative `length` is "to the end of the file"; `flags` are those of
 * `lib/options.ts`.
 */
export declare function mapFile(shared: boolean, source: string | Uint8Array | number, offset: number, length: number, protection: number, flags: number, mode: number, address?: bigint | undefined | null): Outcome<number>

export declare function mapFlags(): MapFlags

/** The bits of the `flags` that the functions here take. */
export interface MapFlags {
  populate: number
  noReserve: number
  create: number
  allocate: number
  guard: number
  closeFile: number
  sealShrink: number
  sealGrow: number
  sealWrite: number
  temporary: number
}

/**
 * Maps memory that has a name. A negative `length` is all of it; `flags` are those of
 * `lib/options.ts`.
 */
export declare function mapSharedMemory(name: string, length: number, exclusive: boolean, protection: number, flags: number, mode: number, address?: bigint | undefined | null): Outcome<number>

/** Whether the mutex is held through its mapping. */
export declare function mutexIsHeld(mutex: object): boolean

/** 0 acquired, 1 recovered, 2 timed out. */
export declare function mutexLock(mutex: object, timeout: number): number

/** 0 acquired, 1 recovered, 2 held by another owner. */
export declare function mutexTryLock(mutex: object): number

export declare function mutexUnlock(mutex: object): void

/** What another thread is to know of a mapping. */
export interface NativeAdopted {
  token: number
  kind: 'shared' | 'private' | 'anonymous'
  /** Where in the file it starts. */
  offset: number
  /** What `handle` was given first. */
  note: string
}

/** A contained fault. */
export interface NativeFault {
  /** What it is known by, in the error of a call and in the report. */
  id: number
  kind: 'beyond-end' | 'protection' | 'io' | 'no-space' | 'closed'
  offset: number
  length: number
  contained: boolean
}

/** What was laid over memory. */
export interface NativeLaid {
  address: number
  /** Whether the guard finds out by itself that the memory is gone. Otherwise it has to be kept. */
  watched: boolean
}

/** Memory that has a name, with a slash in front. */
export interface NativeNamedMemory {
  name: string
  length: number
  allocated: number
  mode: number
  uid: number
  /** In milliseconds since 1970. */
  modified: number
  temporary: boolean
  inUse: boolean
  users: Array<number>
}

/** What has happened to a mapping. */
export interface NativeNews {
  /** How many faults there were in all. */
  count: number
  /** Those since the last call. */
  faults: Array<NativeFault>
}

/** Which pages of a range are in memory. */
export interface NativeResidency {
  pages: number
  resident: number
  bitmap?: Uint8Array
}

/**
 * Calls `callback`, on this thread, soon after there is something for `takeFaulted`. It does not
 * keep the process alive. `hooksSeeObjects` says whether a cleanup hook of this runtime may ask
 * for the state of an object.
 */
export declare function onWake(callback: () => void, hooksSeeObjects: boolean): void

/** Bytes of one page of memory. */
export declare function pageSize(): number

/** What each protection is called, by its number. */
export declare function protectionNames(): Array<string>

/** How often a message was delivered, with this time; 0 where there is none of that number. */
export declare function queueDeliveries(queue: object, number: number): number

/** Waits until there is a queue: 0, or 2 where there is none in time. */
export declare function queueMade(map: Token, offset: number, timeout: number, pending: NativeWait): Promise<number>

/** Copies the first bytes of a message into all of `target`. */
export declare function queueRead(queue: object, number: number, target: Buffer): void

/**
 * Receives a message, whose number is to be `number`, and copies it into `target`, from `start` on, if
 * there is room for all of it before `end`. Its length; where it was delivered before, -2 less its length, and
 * `queueDeliveries` says how often; -1 where there is none in time. Does not wait where `timeout` is 0.
 */
export declare function queueReceive(queue: object, number: number, target: Buffer, start: number, end: number, timeout: number): number

/**
 * The same of up to `most` messages that are there, whose numbers are to be `first` and those behind
 * it, each to the next multiple of eight from `offset` on, up to the first for which there is too
 * little room. How many; `told` gets two numbers for each: its length, and how often it was delivered.
 */
export declare function queueReceiveMany(queue: object, first: number, target: Buffer, offset: number, told: Float64Array, most: number, timeout: number): number

/**
 * Sends a message; `false` where there is no room for it in time. Does not wait where `timeout` is
 * 0.
 */
export declare function queueSend(queue: object, data: Uint8Array, timeout: number): boolean

/**
 * Sends messages that lie one behind the other, up to the first `count` of `ends`; says how many
 * there was room for in time.
 */
export declare function queueSendMany(queue: object, data: Uint8Array, ends: Uint32Array, count: number, timeout: number): number

/** Is done with a message, or gives it up; `false` where there is none of that number. */
export declare function queueSettle(queue: object, number: number, requeue: boolean): boolean

/** Puts the guard's signal handlers back where something has replaced them. */
export declare function reclaimSignals(): void

/** Takes the names away that go with their last user, and have none any more. */
export declare function removeUnusedSharedMemory(): void

/**
 * How many operations this thread has begun that are not done: of files, sockets, zlib, crypto and
 * of this library. Only for Node: other runtimes have another loop.
 */
export declare function requests(): number

/** 0 acquired, 1 recovered, 2 timed out. */
export declare function rwlockLockExclusive(lock: object, timeout: number): number

/** 0 acquired, 1 recovered, 2 timed out. */
export declare function rwlockLockShared(lock: object, timeout: number): number

/** 0 acquired, 1 recovered, 2 held by another owner. */
export declare function rwlockTryLockExclusive(lock: object): number

/** 0 acquired, 1 recovered, 2 held by another owner. */
export declare function rwlockTryLockShared(lock: object): number

export declare function rwlockUnlock(lock: object): void

/** 0 acquired, 2 timed out. */
export declare function semaphoreAcquire(semaphore: object, timeout: number): number

export declare function semaphoreRelease(semaphore: object, count: number): void

export declare function semaphoreTryAcquire(semaphore: object): boolean

/** Whether this system has an advice. */
export declare function supports(index: number): boolean

/**
 * Gives back the memory that nothing needs any more, and says which mappings made on this thread
 * have faulted since the last call: by their ArrayBuffers, or by their tokens where they have none.
 */
export declare function takeFaulted(): (ArrayBuffer | number)[]

/** Takes the name of shared memory away. */
export declare function unlinkSharedMemory(name: string): Outcome<undefined>

export declare namespace mapping {
  export function address(map: Token): bigint
  /** Tells the system what a range is for. */
  export function advise(map: Token, index: number, start: number, end: number): Outcome<undefined>
  /**
   * An ArrayBuffer over `length` bytes from `start` bytes after the start of the first page.
   * With `lasting` it is not detached: after `close` its first use is a fault.
   */
  export function arrayBuffer(map: Token, start: number, length: number, lasting: boolean): ArrayBuffer
  /**
   * Unmaps, and detaches every ArrayBuffer where they are not to last, or very many do; says what had
   * happened since the last `collect`. The answer is null where the name ends without `forget`: now, or with the last
   * ArrayBuffer.
   */
  export function close(map: Token, viewsLast: boolean): Array<NativeFault> | null
  /**
   * Heals what has faulted, and says what has happened since the last call; null where that is nothing,
   * or the name has ended.
   */
  export function collect(map: Token): NativeNews | null
  /**
   * Whether memory has faulted that was transferred out of a mapping: heals it. A mapping that never had
   * an ArrayBuffer keeps what has happened for its next `collect`.
   */
  export function collectTransferred(map: Token): boolean
  /** How many times `needle` is in a range. */
  export function count(map: Token, needle: Uint8Array, wide: boolean, start: number, end: number): Outcome<number>
  /** As `count`, off this thread; says too where the next one may begin. */
  export function countAsync(map: Token, needle: Uint8Array, wide: boolean, start: number, end: number, stop: NativeStop): Promise<[count: number, next: number]>
  /** Cuts the file off at the mapping's end, if it ends `length` bytes from the mapping's start. */
  export function cutFile(map: Token, length: number): Outcome<undefined>
  /** Closes a mapping that was made in vain, and takes away the name of what was made for it. */
  export function discard(map: Token): void
  /** How many faults there were; null where the name has ended. */
  export function faults(map: Token): number | null
  export function fd(map: Token): number | null
  /** Where `needle` first begins in a range, or -1; at even offsets only if it is `wide`. */
  export function find(map: Token, needle: Uint8Array, wide: boolean, start: number, end: number): Outcome<number>
  /** As `find`, off this thread. */
  export function findAsync(map: Token, needle: Uint8Array, wide: boolean, start: number, end: number, stop: NativeStop): Promise<number>
  /** Where `needle` last begins in a range, or -1. */
  export function findLast(map: Token, needle: Uint8Array, wide: boolean, start: number, end: number): Outcome<number>
  /**
   * Ends the name of a mapping whose object was collected: now, or with the last ArrayBuffer that has
   * its memory.
   */
  export function forget(token: number): void
  /** Forgets where the mapping was laid over memory that is gone. */
  export function forsake(map: Token, address: number): void
  /** Names a mapping for `adopt`: 32 hexadecimal digits. */
  export function handle(map: Token, note: string): Outcome<string>
  /**
   * Keeps the memory that another thread has put the mapping over, for this thread's part. `bytes` is a view of all
   * of it, of an object of its own.
   */
  export function keep(map: Token, bytes: Uint8Array): void
  /**
   * Lays the mapping over all pages of `bytes`, a view of a WebAssembly memory that does not move. When the memory has
   * gone `forsake` is to be called before anything else.
   */
  export function layOver(map: Token, bytes: Uint8Array): NativeLaid
  /**
   * Leaves copies of ranges, given by their ends in turn, at the addresses that the next
   * `close` or `resize` takes from the mapping.
   */
  export function leaveSnapshots(map: Token, ends: Array<number>): Outcome<undefined>
  export function length(map: Token): number
  /**
   * Puts where lines of a range begin and end into `bounds`, by turns, and where the line after
   * them begins; says how many lines those are. What comes after the last `
  ` is no line.
   */
  export function lines(map: Token, start: number, end: number, bounds: Float64Array): Outcome<number>
  /** Keeps a range in memory. */
  export function lock(map: Token, start: number, end: number, onFault: boolean): Outcome<undefined>
  /** Bytes between the start of the first page and the mapping's own first byte. */
  export function pageOffset(map: Token): number
  /** Brings a range in, off this thread. */
  export function prefetch(map: Token, start: number, end: number, stop: NativeStop): Promise<void>
  /** Changes the protection of a range. */
  export function protect(map: Token, index: number, start: number, end: number): Outcome<undefined>
  export function protection(map: Token): number
  /**
   * Puts the mapping over the memory of a growable SharedArrayBuffer. `bytes` is a view of all
   * of it, of an object of its own, which is held for as long as the mapping is there.
   */
  export function putOver(map: Token, bytes: Uint8Array): void
  /** Copies bytes out, into all of `target`. */
  export function read(map: Token, target: Buffer, offset: number): Outcome<undefined>
  /** How many pages of a range are in memory and, with `bitmap`, which. */
  export function residency(map: Token, start: number, end: number, bitmap: boolean): Outcome<NativeResidency>
  /**
   * Changes the length, and detaches every ArrayBuffer where they are not to last, or very many do; does
   * neither where it fails.
   */
  export function resize(map: Token, length: number, viewsLast: boolean): Outcome<undefined>
  /** A SharedArrayBuffer over `length` bytes from `start` bytes after the start of the first page. */
  export function sharedArrayBuffer(map: Token, start: number, length: number): SharedArrayBuffer
  /** Makes a range durable, off this thread, unless `stop` comes before that has begun. */
  export function sync(map: Token, start: number, end: number, invalidate: boolean, stop: NativeStop): Promise<void>
  /** Makes a range durable, and waits for it. */
  export function syncSync(map: Token, start: number, end: number, invalidate: boolean): Outcome<undefined>
  /** Puts zeros where the mapping was laid over memory that is there. */
  export function takeUp(map: Token, address: number): Outcome<undefined>
  /** Loads from every page of a range. */
  export function touch(map: Token, start: number, end: number): Outcome<undefined>
  /** Lets it go out of memory again. */
  export function unlock(map: Token, start: number, end: number): Outcome<undefined>
  /** Copies bytes in, which may be a view of this mapping. */
  export function write(map: Token, data: Uint8Array, offset: number): Outcome<undefined>
}
