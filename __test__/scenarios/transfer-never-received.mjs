// Nobody ever takes the message out.

import { check, collect, turn, until } from '../helpers/observe.mjs'
import { map, isFree, movable } from './transfer.mjs'

async function send(close) {
  const mapping = map()
  const { port1, port2 } = new MessageChannel()
  const moved = movable(mapping.arrayBuffer)
  port1.postMessage(moved, [moved])
  if (close) mapping.close()
  collect()
  await turn(2)
  port1.close()
  port2.close()
  return mapping.address
}
for (let i = 0; i < 6; i++) await send(i % 2 === 0)
check(await until(isFree), 'the file is free')
console.log('reached the end')
