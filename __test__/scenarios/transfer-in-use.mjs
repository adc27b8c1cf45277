// A mapping that is still open gives new views of its memory.

import { mapAnonymous } from '../../index.js'
import { check } from '../helpers/observe.mjs'
import { length, map, isFree, isUntouched, movable, isCopied, use } from './transfer.mjs'

const mapping = map()
const ways = {
  view: () => mapping.view(1, 2),
  buffer: () => mapping.buffer,
  typedArray: () => mapping.typedArray(Uint8Array),
  dataView: () => mapping.dataView(),
  arrayBuffer: () => new Uint8Array(mapping.arrayBuffer),
  lines: () => mapping.lines().next().value,
}
for (const way in ways) {
  const moved = movable(mapping.arrayBuffer)
  const { byteLength } = ways[way]()
  check(byteLength === (way === 'view' ? 2 : length), way + ' is whole')
  check(isCopied || mapping.arrayBuffer.byteLength === length, way + ' is of another buffer')
  use(moved)
}
mapping.write(Buffer.from('B\nBB\nB'))
const lines = mapping.lines()
check(lines.next().value.length === 1, 'the first line')
const moved = movable(mapping.arrayBuffer)
check(lines.next().value.length === 2, 'the second line, of another buffer')
mapping.buffer.fill('A', 0, 6)
check(isCopied || new Uint8Array(moved)[0] === 65, 'all of them are one memory')
mapping.close()
check(isCopied || new Uint8Array(moved)[0] === 0, 'which close() takes from all')

const none = mapAnonymous(0)
const views = {
  view: () => none.view(),
  buffer: () => none.buffer,
  typedArray: () => none.typedArray(Float64Array),
  dataView: () => none.dataView(),
  arrayBuffer: () => new Uint8Array(none.arrayBuffer),
}
for (const way in views) {
  check(none.buffer === none.buffer && none.buffer.buffer === none.arrayBuffer, 'an empty mapping has one buffer')
  structuredClone(none.arrayBuffer, { transfer: [none.arrayBuffer] })
  const { byteLength, buffer } = views[way]()
  check(byteLength === 0 && new Uint8Array(buffer).length === 0, way + ' of an empty mapping is of another buffer')
}
none.close()
check(isFree() && isUntouched(), 'the file is free')
console.log('reached the end')
