// Where what sharer.mjs shares lies in the file, in bytes.

export const ROLES = ['sender 0', 'sender 1', 'locker 0', 'locker 1', 'receiver']
/** How many numbers of jobs the workers keep for each sender: more than the queue has room for. */
export const KEPT = 512
export const AT = {
  mutex: 0,
  one: 64,
  two: 128,
  progress: 256,
  sent: 1024,
  received: 1536,
  rwlock: 2048,
  three: 2560,
  four: 2624,
  told: 2688,
  asked: 2816,
  jobs: 2944,
  done: 4096,
  queue: 8192,
  broadcast: 16_384,
  rpc: 32_768,
  channel: 65_536,
}
/** How long what does not end with the file is. */
export const SIZE = { queue: 8192, broadcast: 16_384, rpc: 32_768 }
export const LENGTH = 2 ** 18
