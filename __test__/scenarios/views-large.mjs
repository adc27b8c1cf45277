// A file of more than 4 GiB, of which some places are marked.

import { constants } from 'node:buffer'

import { mapShared } from '../../index.js'

const GiB = 2 ** 30
const [path, length, ...marks] = process.argv.slice(2)
const map = mapShared(path, { protection: 'read-write' })
const wrong = []
const same = (what, actual, expected) => {
  if (actual !== expected) wrong.push(what + ': ' + actual + ' instead of ' + expected)
}
same('length', map.length, Number(length))
for (const mark of marks) {
  const text = mark.padEnd(16)
  same('view', map.view(BigInt(mark), 16).toString(), text)
  same('typedArray', Buffer.from(map.typedArray(Uint8Array, Number(mark), 16)).toString(), text)
  same('dataView', map.dataView(BigInt(mark), 16n).getUint8(0), text.charCodeAt(0))
  same('read', map.read(BigInt(mark), 16n).toString(), text)
  same('write', map.write(Buffer.from('W'), BigInt(mark)), 1)
  same('written', map.view(Number(mark), 1).toString(), 'W')
}
for (const offset of [0, 1, GiB - 1, 2 * GiB + 5, 4 * GiB - 1, map.length - GiB]) {
  const view = map.view(offset, GiB)
  same('view length', view.length, GiB)
  view[GiB - 1] = 0xa7
  same('last byte', map.read(offset + GiB - 1, 1)[0], 0xa7)
}
if (map.length <= constants.MAX_LENGTH) {
  same('buffer', map.buffer.length, map.length)
  same('buffer', map.buffer, map.buffer)
  same('buffer last', map.buffer[map.length - 1], 0xa7)
  same('view', map.view(1, 5 * GiB).length, 5 * GiB)
  same('one ArrayBuffer', map.view(5 * GiB, 1).buffer, map.arrayBuffer)
} else {
  for (const get of [() => map.buffer, () => map.arrayBuffer, () => map.read()]) {
    try {
      wrong.push('no error but ' + get().byteLength)
    } catch (error) {
      same('class', error instanceof RangeError, true)
      same('code', error.code, 'ERR_MMAP_TOO_LARGE')
    }
  }
}
const last = map.view(map.length - 1)
map.close()
same('closed', last.length, 0)
console.log(wrong.length === 0 ? 'all as it should be' : wrong.join('\n'))
