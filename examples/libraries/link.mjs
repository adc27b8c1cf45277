// Lets the examples find these libraries: their folder has no package.json, so that `memory-map` is this clone.

import { rmSync, symlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const [link, target] = ['../node_modules', 'node_modules'].map((path) => fileURLToPath(new URL(path, import.meta.url)))
rmSync(link, { force: true, recursive: true })
symlinkSync(target, link, 'junction')
