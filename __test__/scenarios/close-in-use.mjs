// Maps a file of the letter A, hands the buffer to an operation, closes the mapping at once, and collects what can be
// collected while the operation goes on. One that reads or writes the buffer itself needs the whole range until it is
// done; one that made a copy does not. Nothing of it may reach the file, or a mapping that comes later.

import fs from 'node:fs'
import { join } from 'node:path'

import { mapShared } from '../../index.js'
import { areasOfFile, check, collect, descriptorsOf, folder, isReserved, turn, until } from '../helpers/observe.mjs'

export const dir = folder()
export const path = join(dir, 'file')
export const length = 8 << 20
/** How often the range is looked at while the operation is under way. */
export const LOOKS = 4
const [old, others] = [Buffer.alloc(length, 'A'), Buffer.alloc(length, 'B')]
const PIECE = 64 << 10
const [oldPiece, zeros] = [Buffer.alloc(PIECE, 'A'), Buffer.alloc(PIECE)]
/** @param {Buffer} bytes */
export const isOldOrZero = (bytes) => {
  for (let at = 0; at < bytes.length; at += PIECE) {
    const piece = bytes.subarray(at, at + PIECE)
    if (piece.equals(oldPiece) || piece.equals(zeros)) continue
    if (!piece.every((byte) => byte === 65 || byte === 0)) return false
  }
  return true
}

function begin(operation) {
  fs.writeFileSync(path, old)
  const map = mapShared(path, { protection: 'read-write' })
  const { address, buffer } = map
  const result = operation(buffer)
  map.close()
  return { address, result }
}

export async function closeDuring(operation, { finish = () => {}, copies = false } = {}) {
  const { address, result } = begin(operation)
  let looks = 0
  let isUnderWay = true
  const done = () => (isUnderWay = false)
  result.then(done, done)
  check(areasOfFile(path) === 0 && descriptorsOf(path) === 0, 'close() lets go of the file')
  fs.writeFileSync(path, others)
  const later = mapShared(path, { protection: 'read-write' })
  for (let i = 0; i < LOOKS; i++) {
    collect()
    await turn(3)
    const isThere = isReserved(address, length)
    if (!isUnderWay) break
    check(isThere || copies, 'the range is reserved while the operation is under way')
    looks++
  }
  await finish()
  const value = await result
  check(others.equals(fs.readFileSync(path)), 'nothing of the closed mapping reaches the file')
  check(others.equals(later.read()), 'nothing of the closed mapping reaches another mapping')
  later.close()
  check(await until(() => !isReserved(address, length)), 'the range goes back when nobody holds it')
  return { looks, value }
}

/** A call with a callback, as a promise. */
export const call = (run) =>
  new Promise((resolve, reject) => run((error, value) => (error ? reject(error) : resolve(value))))
/** Of a write: the whole result holds the buffer. */
export const count = ({ bytesWritten }) => bytesWritten
/** How many bytes were written or read, or why none were. */
export const outcome = (promise) => promise.catch(({ code }) => code)
/** @param {Buffer} bytes */
export const isOld = (bytes) => bytes.equals(old.subarray(0, bytes.length))
export const isTold = (value) => check(value === 'EFAULT' || value <= length, 'it did all, a part, or failed: ' + value)
