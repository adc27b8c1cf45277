// Serves the files of a folder by HTTP, with ranges, so that a video can be wound forward.

import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'

import { mapShared } from 'memory-map'

const TYPES = { '.html': 'text/html', '.mp4': 'video/mp4', '.txt': 'text/plain' }

const [folder, port] = process.argv.slice(2)

const server = createServer((request, response) => {
  if (request.method !== 'GET' && request.method !== 'HEAD') return end(response, 405, { allow: 'GET, HEAD' })
  let map
  try {
    const path = normalize(`/${decodeURIComponent(request.url.split('?', 1)[0])}`) // has no `..` that leads out
    map = mapShared(join(folder, path))
  } catch {
    return end(response, 404)
  }
  const headers = { 'accept-ranges': 'bytes', 'content-type': TYPES[extname(map.path)] ?? 'application/octet-stream' }
  const range = rangeOf(request.headers.range, map.length)
  if (range === 'beyond') {
    end(response, 416, { 'content-range': `bytes */${map.length}` })
    return map.close()
  }
  const { start, end: last } = range ?? { start: 0, end: map.length - 1 }
  if (range) headers['content-range'] = `bytes ${start}-${last}/${map.length}`
  response.writeHead(range ? 206 : 200, { ...headers, 'content-length': last - start + 1 })
  if (request.method === 'HEAD' || map.length === 0) {
    response.end()
    return map.close()
  }
  // A client that goes away ends the stream; then, too, the mapping is closed. A file that was truncated meanwhile
  // is an error of the stream.
  const stream = map.createReadStream({ start, end: last, autoClose: true })
  stream.on('error', () => response.destroy())
  response.on('close', () => stream.destroy())
  stream.pipe(response)
})
server.listen(Number(port), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`))

/** What one range of RFC 9110 asks for. All others, and none, ask for the whole file. */
function rangeOf(header, length) {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? []
  if (first === undefined || (first === '' && last === '')) return undefined
  const start = first === '' ? Math.max(0, length - Number(last)) : Number(first)
  const end = first === '' || last === '' ? length - 1 : Math.min(Number(last), length - 1)
  if (first !== '' && last !== '' && Number(last) < start) return undefined
  return start < length ? { start, end } : 'beyond'
}

function end(response, status, headers = {}) {
  response.writeHead(status, { 'content-length': 0, ...headers }).end()
}
