// Has the library's calls of the system go through the addon of ../addon/inject.c.

import { createRequire } from 'node:module'

import { areas } from '../helpers/observe.mjs'

await import(`${process.env.MEMORY_MAP_ROOT}index.js`)

export const injection = createRequire(import.meta.url)(process.env.INJECTION)

const library = areas().find(({ name }) => /\/memory-map\.[^/]*\.node$/.test(name)).name
if (injection.hook(library) < 20) throw new Error(`the calls of ${library} are not found`)
