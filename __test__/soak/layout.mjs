// What the processes of load.mjs have in common: the bytes of a file, where what they share lies, and their messages.

export const AT = { mutex: 0, one: 64, two: 128, written: 192, rwlock: 512, latest: 2048 }
/** What lies where, in the same memory. */
export const CHANNEL = { offset: 4096, length: 2 ** 16 }
export const BROADCAST = { offset: CHANNEL.offset + CHANNEL.length, length: 2 ** 14 }
export const QUEUE = { offset: BROADCAST.offset + BROADCAST.length, length: 2 ** 14 }
export const SHARED = 2 ** 17
export const TRUNCATED = { files: 4, length: 2 ** 18 }

const LINE = `${'abcdefghijklmnopqrstuvwxyz'.repeat(2)}0123456789-\n`
const LINES = 65_536
/** A file of lines that are alike. */
export const DATA = {
  line: LINE.length,
  lines: LINES,
  length: LINE.length * LINES,
  byte: (/** @type {number} */ offset) => LINE.charCodeAt(offset % LINE.length),
  contents: () => LINE.repeat(LINES),
}

/** The message of a number. */
export function message(/** @type {number} */ number) {
  const bytes = Buffer.alloc(4 + ((number * 37) % 3000), number & 255)
  bytes.writeInt32LE(number, 0)
  return bytes
}

/** Whether bytes are the message of a number. */
export function isMessage(/** @type {Buffer} */ bytes) {
  return bytes.length >= 4 && bytes.equals(message(bytes.readInt32LE(0)))
}
