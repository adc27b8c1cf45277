// Writes model.safetensors: three tensors of a small layer, as a trainer would save them.

import { writeFileSync } from 'node:fs'

const weight = Float32Array.from({ length: 256 * 64 }, (_, at) => Math.sin(at))
const bias = new Float32Array(256).fill(0.5)
const steps = BigInt64Array.of(1000n)

const tensors = { weight: ['F32', [256, 64], weight], bias: ['F32', [256], bias], steps: ['I64', [], steps] }
const header = { __metadata__: { format: 'pt' } }
let end = 0
for (const [name, [dtype, shape, { byteLength }]] of Object.entries(tensors)) {
  header[name] = { dtype, shape, data_offsets: [end, (end += byteLength)] }
}
const text = JSON.stringify(header)
const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8)) // tensors begin at a multiple of 8
const length = Buffer.alloc(8)
length.writeBigUInt64LE(BigInt(json.length))
const bytes = Object.values(tensors).map(([, , { buffer }]) => Buffer.from(buffer))
writeFileSync('model.safetensors', Buffer.concat([length, json, ...bytes]))
console.log(`model.safetensors: ${bytes.length} tensors`)
