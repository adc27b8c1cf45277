/** What a mapping is called; never used twice. */
export type Token = number

/** What a function returns that throws the errors of the core. */
export type Outcome<T> = T

/** What stands for an object of the core. Functions take it; JavaScript can only keep it. */
export interface Native<T> {
  readonly of: T
}
export type NativeBarrier = Native<'Barrier'>
export type NativeBroadcast = Native<'Broadcast'>
export type NativeChannel = Native<'Channel'>
export type NativeCondition = Native<'Condition'>
export type NativeEvent = Native<'Event'>
export type NativeLatest = Native<'Latest'>
export type NativeMutex = Native<'Mutex'>
export type NativeQueue = Native<'Queue'>
export type NativeReceiver = Native<'BroadcastReceiver'>
export type NativeRwLock = Native<'RwLock'>
export type NativeSemaphore = Native<'Semaphore'>

/** Tells tasks on other threads to stop. */
export declare class NativeStop {
  constructor()
  /**
   * Tells the tasks to stop. Returns `false` if that was done before, or if a task that cannot be stopped once
   * it runs has begun.
   */
  stop(): boolean
  /** Whether `stop` was called, or such a task has begun. */
  get stopped(): boolean
}

/** Ends a wait on another thread. */
export declare class NativeWait {
  constructor()
  /** Ends the wait, unless that is too late: the promise is rejected, and nothing is taken. */
  end(): void
}

/** The address of a view's first byte. */
export declare function addressOf(bytes: Uint8Array): number

/** A second token for the mapping of a handle, on any thread; null if this process has not made that handle. */
export declare function adopt(handle: string): NativeAdopted | null

/** The names of the advice, by number. */
export declare function adviceNames(): Array<string>

/** What the start of a mapping is a multiple of, in bytes. */
export declare function allocationGranularity(): number

export declare function barrierAbort(barrier: NativeBarrier): void

export declare function barrierIsBroken(barrier: NativeBarrier): boolean

export declare function barrierOpen(map: Token, offset: number, parties?: number | undefined | null): NativeBarrier

export declare function barrierParties(barrier: NativeBarrier): number

export declare function barrierReset(barrier: NativeBarrier): void

/** Which party this is; 4294967295 timed out. */
export declare function barrierWait(barrier: NativeBarrier, timeout: number): number

export declare function barrierWaitAsync(barrier: NativeBarrier, timeout: number, pending: NativeWait): Promise<number>

export declare function barrierWaiting(barrier: NativeBarrier): number

/** Notes which ArrayBuffers have their memory: JavaScript is about to end on this thread. */
export declare function beforeExit(): void

export declare function broadcastCapacity(broadcast: NativeBroadcast): number

export declare function broadcastLossless(broadcast: NativeBroadcast): boolean

export declare function broadcastMaxLength(broadcast: NativeBroadcast): number

/** Makes a broadcast of `length` bytes, or opens one if `length` is negative. */
export declare function broadcastOpen(map: Token, offset: number, length: number, lossless: boolean): NativeBroadcast

/** Receives a message as `channelReceive` does. */
export declare function broadcastReceive(receiver: NativeReceiver, target: Buffer, offset: number, timeout: number): number

/** Receives messages as `channelReceiveMany` does. */
export declare function broadcastReceiveMany(receiver: NativeReceiver, target: Buffer, offset: number, ends: Uint32Array, most: number, timeout: number): number

/** Sends a message; `false` if there is no room for it in time. With a `timeout` of 0 it does not wait. */
export declare function broadcastSend(broadcast: NativeBroadcast, data: Uint8Array, timeout: number): boolean

export declare function broadcastSendAsync(broadcast: NativeBroadcast, data: Uint8Array, timeout: number, pending: NativeWait): Promise<number>

/** Sends messages as `channelSendMany` does. */
export declare function broadcastSendMany(broadcast: NativeBroadcast, data: Uint8Array, ends: Uint32Array, count: number, timeout: number): number

export declare function broadcastSubscribe(broadcast: NativeBroadcast, oldest: boolean): NativeReceiver

/**
 * Whether this runtime makes a SharedArrayBuffer over memory that it does not own. Some have the function
 * but refuse, so it is asked for one of a single byte.
 */
export declare function canShareExternal(): boolean

/** Receives a message and leaves it where it is: its offset in the mapping and its length. */
export declare function channelBorrow(channel: NativeChannel, timeout: number): Array<number> | null

export declare function channelCapacity(channel: NativeChannel): number

/**
 * Sends the first `length` bytes of what was reserved, or nothing if `length` is negative; `false` if
 * nothing is reserved at `offset`.
 */
export declare function channelCommit(channel: NativeChannel, offset: number, length: number): boolean

/** Up to where in the stream of bytes receivers that are gone have received. */
export declare function channelGone(channel: NativeChannel): bigint

/** The receiver's word, or 0 if there is no living receiver. */
export declare function channelLivingReceiver(channel: NativeChannel): bigint

/** Waits until there is a channel: 0, or 2 if the time is up first. */
export declare function channelMade(map: Token, offset: number, timeout: number, pending: NativeWait): Promise<number>

export declare function channelMaxLength(channel: NativeChannel): number

/** Makes a channel of `length` bytes (`how` is 0), opens one (1), or makes one if there is none (2). */
export declare function channelOpen(map: Token, offset: number, length: number, how: number): NativeChannel

/** How many messages there are, and how many bytes in them. */
export declare function channelPending(channel: NativeChannel): Array<number>

/** Has the message borrowed at `offset` be received again. */
export declare function channelPutBack(channel: NativeChannel, offset: number): void

/** Waits until there is a message: 0, or 2 if the time is up first. */
export declare function channelReadyAsync(channel: NativeChannel, timeout: number, pending: NativeWait): Promise<number>

/**
 * Receives a message into `target`, from `offset` on, and returns its length; -1 if none comes in time. A
 * message that does not fit stays: then -2 less its length. With a `timeout` of 0 it does not wait.
 */
export declare function channelReceive(channel: NativeChannel, target: Buffer, offset: number, timeout: number): number

/**
 * As `channelReceive`, but also copies the messages that come next, each to a multiple of eight from `offset`
 * on: up to `most` in all, and returns how many. Those after the first are not received until JavaScript
 * moves the tail. `places` gets three numbers for each: where its copy ends, the lower half of the tail
 * behind it, and whether that passes an eighth of the ring.
 */
export declare function channelReceiveAhead(channel: NativeChannel, target: Buffer, offset: number, places: Int32Array, most: number, timeout: number): number

/**
 * Receives up to `most` messages into `target`, each at a multiple of eight from `offset` on, and returns how
 * many. A negative result is that of `channelReceive`.
 */
export declare function channelReceiveMany(channel: NativeChannel, target: Buffer, offset: number, ends: Uint32Array, most: number, timeout: number): number

/** The receiver's word while this channel is the receiver. */
export declare function channelReceiver(channel: NativeChannel): bigint

/** Gives back the message borrowed at `offset`; `false` if there is none. */
export declare function channelRelease(channel: NativeChannel, offset: number): boolean

/** Reserves room for a message, and returns its offset in the mapping; -1 if there is none in time. */
export declare function channelReserve(channel: NativeChannel, length: number, timeout: number): number

/**
 * The same on another thread, one at a time: 0, and then `reserved` returns the offset; 2 if there is no
 * room in time.
 */
export declare function channelReserveAsync(channel: NativeChannel, length: number, timeout: number, pending: NativeWait): Promise<number>

/** The offset of what `reserveAsync` has reserved, or -1. */
export declare function channelReserved(channel: NativeChannel): number

/** Sends a message; `false` if there is no room for it in time. With a `timeout` of 0 it does not wait. */
export declare function channelSend(channel: NativeChannel, data: Uint8Array, timeout: number): boolean

export declare function channelSendAsync(channel: NativeChannel, data: Uint8Array, timeout: number, pending: NativeWait): Promise<number>

/**
 * Sends messages that lie one behind the other in `data`: each ends at one of the first `count` of `ends`.
 * Returns how many there was room for in time. With a `timeout` of 0 it does not wait.
 */
export declare function channelSendMany(channel: NativeChannel, data: Uint8Array, ends: Uint32Array, count: number, timeout: number): number

/** Where the last message that this channel sent ends in the stream of bytes. */
export declare function channelSent(channel: NativeChannel): bigint

/** Lets another one be the receiver. */
export declare function channelStopReceiving(channel: NativeChannel): void

/** Becomes the receiver as soon as no other one is alive: 0, or 2 if the time is up first. */
export declare function channelWaitToReceive(channel: NativeChannel, timeout: number, pending: NativeWait): Promise<number>

/** Wakes the senders that wait for room. */
export declare function channelWakeSenders(channel: NativeChannel): void

export declare function conditionNotify(condition: NativeCondition, count: number): void

export declare function conditionOpen(map: Token, offset: number): NativeCondition

/** Releases the mutex, and takes it again: 0 notified, 1 recovered, 2 timed out. */
export declare function conditionWait(condition: NativeCondition, mutex: NativeMutex, timeout: number): number

/** The same; the mutex is released when this returns. */
export declare function conditionWaitAsync(condition: NativeCondition, mutex: NativeMutex, timeout: number, pending: NativeWait): Promise<number>

export declare function eventClear(event: NativeEvent): void

export declare function eventIsSet(event: NativeEvent): boolean

export declare function eventOpen(map: Token, offset: number): NativeEvent

export declare function eventSet(event: NativeEvent): void

/** 0 set, 2 timed out. */
export declare function eventWait(event: NativeEvent, timeout: number): number

export declare function eventWaitAsync(event: NativeEvent, timeout: number, pending: NativeWait): Promise<number>

/** Whether this thread has the first loop of the process, which no worker has. Only for Node. */
export declare function hasFirstLoop(): boolean

/** Whether the system would grant `length` bytes of memory now. */
export declare function hasMemory(length: number): boolean

/**
 * Four bytes with a number that grows whenever pages of a mapping are replaced; null if the runtime makes no
 * ArrayBuffer over our memory.
 */
export declare function ipcChanges(): ArrayBuffer | null

/**
 * Makes sure that a range is in place, and returns its address and how many faults its mapping has had; null
 * if faults of JavaScript are not contained. If it returns the same twice, all stores in between have arrived.
 */
export declare function ipcMark(map: Token, offset: number, length: number): Array<number> | null

/** Wakes up to `count` waiters of the word, and returns how many. */
export declare function ipcNotify(map: Token, offset: number, count: number): number

/** Sleeps while the word is `expected`: 0 woken, 1 not equal, 2 timed out. */
export declare function ipcWait(map: Token, offset: number, expected: number, timeout: number): number

/** The same on another thread. */
export declare function ipcWaitAsync(map: Token, offset: number, expected: number, timeout: number, pending: NativeWait): Promise<number>

/** Lets other threads run on this processor. */
export declare function ipcYield(): void

export declare function latestMaxLength(latest: NativeLatest): number

export declare function latestOpen(map: Token, offset: number, length: number): NativeLatest

/**
 * Copies the newest value into `target`, from `offset` on, if there is room for it, and returns its length;
 * -1 if there is none yet.
 */
export declare function latestRead(latest: NativeLatest, target: Buffer, offset: number): number

/** How many values were written. */
export declare function latestVersion(latest: NativeLatest): number

/** Waits for another version: 0, or 2 if the time is up first. */
export declare function latestWait(latest: NativeLatest, version: number, timeout: number): number

export declare function latestWaitAsync(latest: NativeLatest, version: number, timeout: number, pending: NativeWait): Promise<number>

/** Writes a value; `false` if other writers are busy until the time is up. */
export declare function latestWrite(latest: NativeLatest, data: Uint8Array, timeout: number): boolean

/** Lists the shared memory that has a name. */
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

/** The mutex's word while this mapping holds it and nobody waits for it. */
export declare function mutexHeld(mutex: NativeMutex): bigint

/** Whether the mutex's mapping holds it. */
export declare function mutexIsHeld(mutex: NativeMutex): boolean

/** 0 acquired, 1 recovered, 2 timed out. */
export declare function mutexLock(mutex: NativeMutex, timeout: number): number

export declare function mutexLockAsync(mutex: NativeMutex, timeout: number, pending: NativeWait): Promise<number>

export declare function mutexOpen(map: Token, offset: number): NativeMutex

/** 0 acquired, 1 recovered, 2 held by another owner. */
export declare function mutexTryLock(mutex: NativeMutex): number

export declare function mutexUnlock(mutex: NativeMutex): void

/** What another thread is to know of a mapping. */
export interface NativeAdopted {
  token: number
  kind: 'shared' | 'private' | 'anonymous'
  /** Where in the file it starts. */
  offset: number
  /** What the first call of `handle` was given. */
  note: string
}

/** A contained fault. */
export interface NativeFault {
  /** Its number, the same in the error of a call and in the report. */
  id: number
  kind: 'beyond-end' | 'protection' | 'io' | 'no-space' | 'closed'
  offset: number
  length: number
  contained: boolean
}

/** A place where the mapping was laid over memory. */
export interface NativeLaid {
  address: number
  /** Whether the guard finds out by itself that the memory is gone. Otherwise JavaScript has to keep it alive. */
  watched: boolean
}

/** Shared memory. Its name begins with a slash. */
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
 * Has `callback` called, on this thread, soon after there is something for `takeFaulted`. It does not
 * keep the process alive. `hooksSeeObjects` says whether a cleanup hook of this runtime may ask whether
 * an ArrayBuffer is attached.
 */
export declare function onWake(callback: () => void, hooksSeeObjects: boolean): void

/** Bytes of one page of memory. */
export declare function pageSize(): number

/** The names of the protections, by number. */
export declare function protectionNames(): Array<string>

export declare function queueCapacity(queue: NativeQueue): number

/** How often a message was delivered, including this time; 0 if there is none with that number. */
export declare function queueDeliveries(queue: NativeQueue, number: number): number

/** Waits until there is a queue: 0, or 2 if the time is up first. */
export declare function queueMade(map: Token, offset: number, timeout: number, pending: NativeWait): Promise<number>

export declare function queueMaxLength(queue: NativeQueue): number

/** Makes a queue of `length` bytes (`how` is 0), opens one (1), or makes one if there is none (2). */
export declare function queueOpen(map: Token, offset: number, length: number, how: number): NativeQueue

/** How many messages wait, how many bytes are in them, and how many messages receivers have. */
export declare function queuePending(queue: NativeQueue): Array<number>

/** Copies the first bytes of a message into all of `target`. */
export declare function queueRead(queue: NativeQueue, number: number, target: Buffer): void

/** Waits until there is a message: 0, or 2 if the time is up first. */
export declare function queueReadyAsync(queue: NativeQueue, timeout: number, pending: NativeWait): Promise<number>

/**
 * Receives a message, which gets the number `number`, and copies it into `target`, from `start` on, if all of it
 * fits before `end`. Returns its length, or -2 less its length if it was delivered before: `queueDeliveries` says how
 * often. -1 if none comes in time. With a `timeout` of 0 it does not wait.
 */
export declare function queueReceive(queue: NativeQueue, number: number, target: Buffer, start: number, end: number, timeout: number): number

/**
 * The same for up to `most` messages that are there, which get the numbers from `first` on. Each is copied to the
 * next multiple of eight from `offset` on, up to the first that does not fit. Returns how many; `told` gets
 * two numbers for each: its length, and how often it was delivered.
 */
export declare function queueReceiveMany(queue: NativeQueue, first: number, target: Buffer, offset: number, told: Float64Array, most: number, timeout: number): number

/** Gives all messages up. */
export declare function queueRequeueAll(queue: NativeQueue): void

/** Sends a message; `false` if there is no room for it in time. With a `timeout` of 0 it does not wait. */
export declare function queueSend(queue: NativeQueue, data: Uint8Array, timeout: number): boolean

export declare function queueSendAsync(queue: NativeQueue, data: Uint8Array, timeout: number, pending: NativeWait): Promise<number>

/** Sends messages as `channelSendMany` does. */
export declare function queueSendMany(queue: NativeQueue, data: Uint8Array, ends: Uint32Array, count: number, timeout: number): number

/** Releases a message, or gives it up; `false` if there is none with that number. */
export declare function queueSettle(queue: NativeQueue, number: number, requeue: boolean): boolean

/** Receives a message and leaves it where it is: its offset in the mapping and its length. */
export declare function receiverBorrow(receiver: NativeReceiver, timeout: number): Array<number> | null

export declare function receiverClose(receiver: NativeReceiver): void

/** How many messages were lost. */
export declare function receiverLost(receiver: NativeReceiver): number

/** Has the message borrowed at `offset` be received again, if it is the last that was borrowed. */
export declare function receiverPutBack(receiver: NativeReceiver, offset: number): void

/** Waits until there is a message: 0, or 2 if the time is up first. */
export declare function receiverReadyAsync(receiver: NativeReceiver, timeout: number, pending: NativeWait): Promise<number>

/** Gives back the message borrowed at `offset`; `false` if there is none. */
export declare function receiverRelease(receiver: NativeReceiver, offset: number): boolean

/** Puts the guard's signal handlers back where something has replaced them. */
export declare function reclaimSignals(): void

/** Removes the names of temporary shared memory that has no user any more. */
export declare function removeUnusedSharedMemory(): void

/**
 * How many operations of this thread's loop are under way: on files and sockets, of zlib, of crypto and of
 * this library. Only for Node: other runtimes have another loop.
 */
export declare function requests(): number

/** 0 acquired, 1 recovered, 2 timed out. */
export declare function rwlockLockExclusive(lock: NativeRwLock, timeout: number): number

export declare function rwlockLockExclusiveAsync(lock: NativeRwLock, timeout: number, pending: NativeWait): Promise<number>

/** 0 acquired, 1 recovered, 2 timed out. */
export declare function rwlockLockShared(lock: NativeRwLock, timeout: number): number

export declare function rwlockLockSharedAsync(lock: NativeRwLock, timeout: number, pending: NativeWait): Promise<number>

export declare function rwlockOpen(map: Token, offset: number): NativeRwLock

/** 0 acquired, 1 recovered, 2 held by another owner. */
export declare function rwlockTryLockExclusive(lock: NativeRwLock): number

/** 0 acquired, 1 recovered, 2 held by another owner. */
export declare function rwlockTryLockShared(lock: NativeRwLock): number

export declare function rwlockUnlock(lock: NativeRwLock): void

/** 0 acquired, 2 timed out. */
export declare function semaphoreAcquire(semaphore: NativeSemaphore, timeout: number): number

export declare function semaphoreAcquireAsync(semaphore: NativeSemaphore, timeout: number, pending: NativeWait): Promise<number>

export declare function semaphoreOpen(map: Token, offset: number, initial?: number | undefined | null): NativeSemaphore

export declare function semaphoreRelease(semaphore: NativeSemaphore, count: number): void

export declare function semaphoreTryAcquire(semaphore: NativeSemaphore): boolean

/** Whether this system has an advice. */
export declare function supports(index: number): boolean

/**
 * Gives back the memory that nothing needs any more, and says which mappings made on this thread
 * have faulted since the last call: by their ArrayBuffers, or by their tokens where they have none.
 */
export declare function takeFaulted(): (ArrayBuffer | number)[]

/** Removes the name of shared memory. */
export declare function unlinkSharedMemory(name: string): Outcome<undefined>

export declare namespace mapping {
  export function address(map: Token): bigint
  /** Tells the system what a range is for. */
  export function advise(map: Token, index: number, start: number, end: number): Outcome<undefined>
  /**
   * An ArrayBuffer over `length` bytes, which begins `start` bytes after the start of the first page.
   * One that is `lasting` is not detached by `close`: its first use after that is a fault.
   */
  export function arrayBuffer(map: Token, start: number, length: number, lasting: boolean): ArrayBuffer
  /**
   * Unmaps, and detaches every ArrayBuffer as `resize` does. Returns the faults since the last `collect`; null if
   * the token needs no `forget`, because it ends now or with the last ArrayBuffer.
   */
  export function close(map: Token, viewsLast: boolean): Array<NativeFault> | null
  /**
   * Heals the pages that have faulted, and returns the faults since the last call; null if there were none,
   * or the token has ended.
   */
  export function collect(map: Token): NativeNews | null
  /**
   * Heals memory that was transferred out of a mapping, and returns whether it had faulted. A mapping without
   * an ArrayBuffer keeps its faults for its next `collect`.
   */
  export function collectTransferred(map: Token): boolean
  /** How many times `needle` is in a range. */
  export function count(map: Token, needle: Uint8Array, wide: boolean, start: number, end: number): Outcome<number>
  /** As `count`, off this thread; also returns where the next occurrence may begin. */
  export function countAsync(map: Token, needle: Uint8Array, wide: boolean, start: number, end: number, stop: NativeStop): Promise<[count: number, next: number]>
  /**
   * Cuts the file off at the mapping's end, but not before its first `kept` bytes from the mapping's start, if it
   * ends `length` bytes from there.
   */
  export function cutFile(map: Token, length: number, kept: number): Outcome<undefined>
  /** Closes a mapping that turned out not to be needed, and removes the name of shared memory that was made for it. */
  export function discard(map: Token): void
  /**
   * Where the last byte that is not zero ends in a part of the file, in bytes from the mapping's start; `start` if
   * there is none.
   */
  export function endOfData(map: Token, start: number, end: number): Outcome<number>
  /** How many faults there were; null if the token has ended. */
  export function faults(map: Token): number | null
  export function fd(map: Token): number | null
  /** How many bytes the file has from the mapping's start on; 0 without a file. */
  export function fileLength(map: Token): Outcome<number>
  /** Where `needle` first begins in a range, or -1. If it is `wide`, only even offsets count. */
  export function find(map: Token, needle: Uint8Array, wide: boolean, start: number, end: number): Outcome<number>
  /** As `find`, off this thread. */
  export function findAsync(map: Token, needle: Uint8Array, wide: boolean, start: number, end: number, stop: NativeStop): Promise<number>
  /** Where `needle` last begins in a range, or -1. */
  export function findLast(map: Token, needle: Uint8Array, wide: boolean, start: number, end: number): Outcome<number>
  /**
   * Ends the token of a mapping whose object was collected: now, or with the last ArrayBuffer that has its
   * memory.
   */
  export function forget(token: number): void
  /** Forgets a place whose memory is gone. */
  export function forsake(map: Token, address: number): void
  /**
   * Has closed mappings give back what they keep of the runtime's memory: there is none for another one. Says whether there
   * may be now.
   */
  export function giveBack(): boolean
  /** Names a mapping for `adopt`: 32 hexadecimal digits. */
  export function handle(map: Token, note: string): Outcome<string>
  /**
   * Keeps the memory that another thread has put the mapping over, for this thread's part. `bytes` is a view of all
   * of it, of an object of its own.
   */
  export function keep(map: Token, bytes: Uint8Array): void
  /**
   * Lays the mapping over the pages of `bytes`, a view of a WebAssembly memory that does not move. When the memory is
   * gone, `forsake` must be called before anything else.
   */
  export function layOver(map: Token, bytes: Uint8Array): NativeLaid
  /**
   * Has the next `close` or `resize` leave copies of some ranges at the addresses that the mapping loses.
   * `ends` has the start and the end of each range in turn.
   */
  export function leaveSnapshots(map: Token, ends: Array<number>): Outcome<undefined>
  export function length(map: Token): number
  /**
   * Puts the start and the end of each line of a range into `bounds`, as many as fit, and into its last element
   * where the line after them begins. Returns how many lines. What comes after the last `
  ` is not a line.
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
   * Changes the length, and detaches every ArrayBuffer, unless `views_last` and not too many others stay attached
   * already. Does neither if it fails.
   */
  export function resize(map: Token, length: number, viewsLast: boolean): Outcome<undefined>
  /** A SharedArrayBuffer over `length` bytes from `start` bytes after the start of the first page. */
  export function sharedArrayBuffer(map: Token, start: number, length: number): SharedArrayBuffer
  /** Makes a range durable, off this thread, unless `stop` comes before that has begun. */
  export function sync(map: Token, start: number, end: number, invalidate: boolean, stop: NativeStop): Promise<void>
  /** Makes a range durable, and waits for it. */
  export function syncSync(map: Token, start: number, end: number, invalidate: boolean): Outcome<undefined>
  /** Puts zeros in the mapping's place, in memory that is still there. */
  export function takeUp(map: Token, address: number): Outcome<undefined>
  /** Loads from every page of a range. */
  export function touch(map: Token, start: number, end: number): Outcome<undefined>
  /** Ends what `lock` began. */
  export function unlock(map: Token, start: number, end: number): Outcome<undefined>
  /** Copies bytes in, which may be a view of this mapping. */
  export function write(map: Token, data: Uint8Array, offset: number): Outcome<undefined>
}
