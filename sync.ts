// `memory-map/sync`: what processes that share a mapping wait for each other and talk with.

import { MemoryMap } from './index.js'
import { connect } from './lib/sync/main.js'

export { type WaitOptions } from './lib/sync/arguments.js'
export { Barrier } from './lib/sync/barrier.js'
export { Broadcast, type BroadcastRange, type SubscribeOptions } from './lib/sync/broadcast.js'
export { Channel, type Pending } from './lib/sync/channel.js'
export { Condition, type Wakeup } from './lib/sync/condition.js'
export { Event } from './lib/sync/event.js'
export { Latest, type LatestOptions } from './lib/sync/latest.js'
export { type Locked, Mutex } from './lib/sync/mutex.js'
export { type ChannelOptions, type ChannelRange } from './lib/sync/opening.js'
export { Queue, QueueMessage, type QueuePending } from './lib/sync/queue.js'
export { Rpc } from './lib/sync/rpc.js'
export { type RpcRange } from './lib/sync/rpc-region.js'
export { type RpcHandler, type RpcReply, type ServeOptions } from './lib/sync/rpc-server.js'
export { RwLock } from './lib/sync/rwlock.js'
export { Semaphore } from './lib/sync/semaphore.js'
export { BroadcastReceiver } from './lib/sync/receiver.js'
export { notify, wait, waitAsync, type WaitResult } from './lib/sync/wait.js'

connect(MemoryMap)
