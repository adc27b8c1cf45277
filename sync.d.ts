export { Channel, type ChannelOptions, type ChannelRange } from './lib/sync/channel.js';
export { type Locked, Mutex } from './lib/sync/mutex.js';
export { Semaphore } from './lib/sync/semaphore.js';
export { notify, wait, waitAsync, type WaitResult } from './lib/sync/wait.js';
