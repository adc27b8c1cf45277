// Code of WebAssembly loads and stores where its memory has a mapping, and nothing ends the process.

import fs from 'node:fs'
import { join } from 'node:path'

import { mapShared, pageSize } from '../../index.js'
import { check, folder, until } from '../helpers/observe.mjs'
import { over } from '../helpers/wasm-module.mjs'

const path = join(folder(), 'file')
const length = 64 * pageSize
const at = 65536
for (const shared of [false, true]) {
  fs.writeFileSync(path, Buffer.alloc(length, 65))
  const told = []
  const memory = new WebAssembly.Memory({ initial: 100, maximum: 200, shared })
  const { peek, poke, fill, grow } = over(memory)
  const map = mapShared(path, { onFault: ({ kind }) => told.push(kind) })
  const laid = map.into(memory, at)

  check(peek(at) === 65 && peek(at + length - 1) === 65 && peek(at - 1) === 0, 'the file is there')
  poke(at, 7)
  check(map.faults === 1, 'a store to a read-only page is contained')
  await until(() => told.length > 0)
  check(told.join() === 'protection' && peek(at) === 65, 'it is told, and undone: ' + told)
  fill(at + pageSize, 7, 8 * pageSize)
  await until(() => told.length > 1 && peek(at + 2 * pageSize) === 65)
  check(told.every((kind) => kind === 'protection') && fs.readFileSync(path).every((byte) => byte === 65), told)

  const before = map.faults
  let trap
  try {
    peek(memory.buffer.byteLength)
  } catch (error) {
    trap = error
  }
  check(trap instanceof WebAssembly.RuntimeError, 'a load behind the memory is a trap')
  check(map.faults === before, 'which is no fault of ours')

  const { buffer } = memory
  grow(50)
  check(shared || buffer.byteLength === 0, 'the memory has grown')
  check(peek(at + length - 1) === 65, 'with the file in it')

  told.length = 0
  fs.truncateSync(path, pageSize)
  check(peek(at) === 65 && peek(at + length - 1) === 0, 'beyond the end there are zeros')
  check(map.faults === before + 1, 'of one fault')
  await until(() => told.length > 0)
  check(told.join() === 'beyond-end', told)
  fs.truncateSync(path, length)
  await until(() => peek(at + pageSize) === 0)
  fs.writeFileSync(path, Buffer.alloc(length, 66))
  await until(() => peek(at + length - 1) === 66)
  check(peek(at + length - 1) === 66, 'what is there again is read again')

  fs.truncateSync(path, 0)
  peek(at + pageSize)
  laid.close()
  check(peek(at) === 0 && peek(at + length - 1) === 0, 'zeros after close')
  fill(at, 9, length)
  check(peek(at + length - 1) === 9 && fs.statSync(path).size === 0, 'it is plain memory again')
  const sum = map.faults
  await until(() => told.length > 1)
  check(told.length >= 2 && map.faults === sum, 'the last fault is told after close')
  map.close()
}
console.log('reached the end')
