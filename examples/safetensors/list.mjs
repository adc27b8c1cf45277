// Lists the tensors of a safetensors file, and runs one layer of the model on an input of ones.

import { mapShared } from 'memory-map'

import { tensorsOf } from './tensors.mjs'

const map = mapShared(process.argv[2])
try {
  const tensors = tensorsOf(map)
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    console.log(`${name.padEnd(8)}${dtype} [${shape}] ${data.byteLength} bytes`)
  }
  const { weight, bias } = tensors
  const [rows, columns] = weight.shape
  const output = Float64Array.from({ length: rows }, (_, row) => {
    let sum = bias.data[row]
    for (let column = 0; column < columns; column++) sum += weight.data[row * columns + column]
    return sum
  })
  console.log(`sum of the outputs: ${output.reduce((sum, value) => sum + value, 0).toFixed(3)}`)
} finally {
  map.close()
}
