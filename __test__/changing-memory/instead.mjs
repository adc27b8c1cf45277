// Counts how often the calls that docs/changing-memory.md recommends read a mapping: one pass touches the wires twice.
// `map.read` and `map.toString` are left out, because they take the wires for faults.
//
//     RUNTIME instead.mjs TRIPWIRE

import { createRequire } from 'node:module'

const { mapAnonymous } = await import(new URL('../../index.js', import.meta.url).href)

const { arm, disarm } = createRequire(import.meta.url)(process.argv[2])
const LENGTH = 4 << 20
const [euros, letters] = ['€', 'abcdefgh'].map((text) => Buffer.alloc(LENGTH, text))
const encodings = ['utf8', 'latin1', 'ascii', 'utf16le', 'base64', 'base64url', 'hex']

const calls = {
  'Buffer.from(view)': (map) => Buffer.from(map.view(0)),
  'new Uint8Array(view)': (map) => new Uint8Array(map.view(0)),
  'typedArray().slice().sort()': (map) => map.typedArray(Float64Array).slice().sort(),
  ...Object.fromEntries(
    encodings.flatMap((encoding) => [
      [`map.buffer.toString('${encoding}')`, (map) => map.buffer.toString(encoding)],
      [`map.view().subarray().toString('${encoding}')`, (map) => map.view(0).subarray(0).toString(encoding)],
    ]),
  ),
  'map.buffer.utf8Slice': (map) => map.buffer.utf8Slice(0, LENGTH),
  'map.buffer.toLocaleString': (map) => map.buffer.toLocaleString(),
  'String(map.buffer)': (map) => String(map.buffer),
}

const touches = {}
for (const [name, call] of Object.entries(calls)) {
  const map = mapAnonymous(LENGTH, { guard: false, shared: true })
  arm(map.view(0), euros, letters)
  call(map)
  touches[name] = disarm()
}
console.log(JSON.stringify(touches))
process.exit()
