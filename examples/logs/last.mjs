// The last lines of a log that contain some text. It begins at the end, so it does not read what it does not need.

import { mapShared } from 'memory-map'

const [path, text, count = '10'] = process.argv.slice(2)
const map = mapShared(path)
try {
  const found = []
  let at = map.length
  while (found.length < Number(count) && at > 0) {
    const hit = map.lastIndexOf(text, at - 1)
    if (hit === -1) break
    const start = hit === 0 ? 0 : map.lastIndexOf('\n', hit - 1) + 1
    const next = map.indexOf('\n', hit)
    found.push(map.toString('utf8', start, next === -1 ? map.length : next))
    at = start
  }
  for (const line of found.reverse()) console.log(line)
} finally {
  map.close()
}
