// Where what sharer.mjs shares lies in the file, in bytes.

export const ROLES = ['locker 0', 'locker 1', 'sender 0', 'sender 1', 'receiver']
export const AT = { mutex: 0, one: 64, two: 128, progress: 256, sent: 1024, received: 1536, channel: 4096 }
export const LENGTH = 2 ** 17
