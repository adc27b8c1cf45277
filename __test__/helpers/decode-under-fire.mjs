// Decodes a file in every way that its views have, while another process stores to it; prints 'alive' at the end.
// The arguments are the file, the backing, and for how many milliseconds.

const { mapAnonymous, mapPrivate, mapShared } = await import(new URL('../../index.js', import.meta.url).href)
const { Channel } = await import(new URL('../../sync.js', import.meta.url).href)

const [path, backing, time] = process.argv.slice(2)
const map = mapShared(path, { backing })
const copyOnWrite = mapPrivate(path, { backing })
const shared = mapShared(path, { backing, protection: 'read-write' })
const slices = ['utf8', 'latin1', 'ascii', 'hex', 'base64', 'base64url', 'ucs2'].map((name) => `${name}Slice`)

for (const end = Date.now() + Number(time); Date.now() < end;) {
  map.toString('utf8', 3, 300_000)
  for (const buffer of [map.buffer, copyOnWrite.buffer]) {
    buffer.toString()
    String(buffer.subarray(30, 60_000))
    buffer.subarray(6, 9000).slice(3).subarray(0, 3000).toLocaleString()
    for (const name of slices) buffer[name]?.(0, 100_000)
  }
  map.view(0, 300).toString('utf8')
  for (const line of map.lines({ length: 200_000 })) line.toString()
  for (const line of map.lines({ length: 200_000, encoding: 'utf8' })) if (!line) throw new Error('an empty line')
  for await (const chunk of map.createReadStream({ end: 300_000 })) chunk.toString()
  for await (const text of map.createReadStream({ end: 300_000, encoding: 'utf8' }))
    if (!text) throw new Error('no text')
  shared.typedArray(Buffer, 5, 5000).toString()
}

const channel = Channel.create(mapAnonymous(65_536, { backing, shared: true }))
channel.send('x')
for (const buffer of [channel.borrow(), channel.reserve(10)]) {
  if (Object.getPrototypeOf(buffer) !== Object.getPrototypeOf(map.buffer)) throw new Error('a message of another kind')
}
console.log('alive')
process.exit()
