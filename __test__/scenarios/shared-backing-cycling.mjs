// Many cycles of opening and closing leave nothing behind.

import fs from 'node:fs'

import { mapShared } from '../../index.js'
import { areas, areasOfFile, check, descriptorsOf, isBun, isDeno, until } from '../helpers/observe.mjs'
import { path, options } from './shared-backing.mjs'

const before = areas().length
let most = 0
const cycles = process.env.MEMORY_MAP_LONG && !isBun && !isDeno ? 100_000 : 20_000
fs.truncateSync(path, 4096)
for (let i = 0; i < cycles; i++) {
  const map = mapShared(path, options)
  if (map.view(5, 5)[0] !== 65) check(false, 'a byte')
  map.close()
  if (i % 1000 === 0) most = Math.max(most, areas().length)
}
check(most < before + 5000, most + ' areas, after ' + before)
check(descriptorsOf(path) === 0, 'no descriptor is left')
const ours = () => areas().filter(({ access, name }) => access.startsWith('---') && name === '').length
check(await until(() => areasOfFile(path) === 0 && ours() < 100), ours() + ' areas are left')
console.log('reached the end')
