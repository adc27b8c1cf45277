// What stands before the bytes of a request and of its reply (docs/rpc.md).

import { allocate, encode } from '../buffers.js'

/** Bytes of the head. */
export const HEAD = 16

/** A reply has the bytes that the handler gave. */
export const VALUE = 0
/** A reply has the message of the error that the handler threw. */
export const THROWN = 1
/** A reply has a message: what the handler gave is longer than the channel can take. */
export const TOO_LONG = 2

export type Status = typeof VALUE | typeof THROWN | typeof TOO_LONG

/** Who calls: the client's word as the receiver of its replies. Nobody else has ever had the same. */
export function callerOf(message: Buffer): bigint {
  return message.readBigUInt64LE(0)
}

/** Whether two messages are of the same client. */
export function isSameCaller(one: Buffer, other: Buffer): boolean {
  return one.readUInt32LE(0) === other.readUInt32LE(0) && one.readUInt32LE(4) === other.readUInt32LE(4)
}

/** The number that its client gave the call. */
export function numberOf(message: Buffer): number {
  return message.readUInt32LE(8)
}

/** In a request: which client it is. In a reply: its status. */
export function lastOf(message: Buffer): number {
  return message.readUInt32LE(12)
}

/** The head of all requests of a client. */
export function headOf(caller: bigint, client: number): Buffer {
  const head = Buffer.alloc(HEAD)
  head.writeBigUInt64LE(caller, 0)
  head.writeUInt32LE(client, 12)
  return head
}

export function requestOf(head: Buffer, number: number, bytes: Uint8Array): Buffer {
  const request = allocate(HEAD + bytes.length)
  request.set(head)
  request.writeUInt32LE(number, 8)
  fill(request, bytes)
  return request
}

export function replyTo(request: Buffer, status: Status, bytes: Uint8Array): Buffer {
  const reply = allocate(HEAD + bytes.length)
  reply.set(request.subarray(0, HEAD - 4))
  reply.writeUInt32LE(status, HEAD - 4)
  fill(reply, bytes)
  return reply
}

/** Copies the bytes, if there are any: detached ones are none, and cannot be copied from. */
function fill(message: Buffer, bytes: Uint8Array): void {
  if (message.length > HEAD) message.set(bytes, HEAD)
}

/** A reply that says what is wrong, in as many bytes as there are for it. */
export function failureOf(request: Buffer, status: Status, message: string, most: number): Buffer {
  return replyTo(request, status, encode(message, 'utf8').subarray(0, most - HEAD))
}
