// Sorts the numbers of a file in place while another process stores to them, and checks that the mappings beside it do not
// change; prints 'alive' at the end. The arguments are the file and for how many milliseconds.

const { mapAnonymous, mapShared } = await import(new URL('../../index.js', import.meta.url).href)

const [path, time] = process.argv.slice(2)
const MiB = 1n << 20n
const address = 0x600000000000n
// They lie side by side, where the addresses are free.
const map = mapShared(path, { protection: 'read-write', address: address + MiB })
const neighbours = [address, address + MiB + BigInt(map.length)].map((address) => {
  const neighbour = mapAnonymous(2 ** 20, { address })
  const numbers = neighbour.typedArray(Float64Array)
  for (let i = 0; i < numbers.length; i++) numbers[i] = (i * 7907) % 1003
  return [neighbour.buffer, neighbour.read()]
})

const doubles = map.typedArray(Float64Array)
const integers = map.typedArray(BigInt64Array)
const bytes = map.typedArray(Uint8Array)
for (const end = Date.now() + Number(time); Date.now() < end;) {
  doubles.sort()
  doubles.subarray(8).subarray(1).sort()
  integers.sort()
  bytes.subarray(0, 10_000).sort()
  map.buffer.subarray(0, 10_000).sort()
  doubles.subarray(0, 100).sort((a, b) => b - a)
  for (const [buffer, copy] of neighbours) if (!buffer.equals(copy)) throw new Error('a mapping beside it was changed')
}
console.log('alive')
process.exit()
