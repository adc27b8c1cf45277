// The tensors of a safetensors file as typed arrays over the file.

const ARRAYS = {
  F64: Float64Array,
  F32: Float32Array,
  F16: globalThis.Float16Array ?? Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
}

/** What `map` has: `{ dtype, shape, data }` by name. Nothing is read before it is used. */
export function tensorsOf(map) {
  const length = Number(map.dataView(0, 8).getBigUint64(0, true))
  const { __metadata__: _, ...header } = JSON.parse(map.toString('utf8', 8, 8 + length))
  const tensor = ([name, { dtype, shape, data_offsets: range }]) => {
    const [start, end] = range.map((offset) => 8 + length + offset)
    return [name, { dtype, shape, data: dataOf(map, ARRAYS[dtype], start, end - start) }]
  }
  return Object.fromEntries(Object.entries(header).map(tensor))
}

function dataOf(map, TypedArray, start, byteLength) {
  if (TypedArray === undefined) throw new Error('a type of tensor that is not known here')
  const { BYTES_PER_ELEMENT: size } = TypedArray
  if (start % size === 0) return map.typedArray(TypedArray, start, byteLength / size)
  // Typed arrays are aligned. Not every program that writes these files pads the header, so this one is a copy.
  return new TypedArray(Uint8Array.from(map.view(start, byteLength)).buffer)
}
