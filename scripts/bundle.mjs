// Bundles the TypeScript into index.js and sync.js. A file for each module, and imports of Node's own modules, which make
// objects of all that these export, cost several times what loading the native library does.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { build } from 'esbuild'

const importOfNode = /^import (?<names>\w+|\{[^}]*\}) from '(?<name>node:[\w/]+)'$/gm

/** Has the sources taken, never what was compiled from them before, and the modules of Node as they are. */
const sources = {
  name: 'sources',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^\.\.?\/.*\.js$/ }, ({ path, resolveDir }) => {
      if (path.endsWith('/index.js')) return { path: './index.js', external: true }
      return { path: join(resolveDir, path.replace(/js$/, 'ts')) }
    })
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8')
      const contents = source.replace(importOfNode, (_, names, name) => {
        return `const ${names.replaceAll(' as ', ': ')} = process.getBuiltinModule('${name}')`
      })
      return { contents, loader: 'ts' }
    })
  },
}

/** A class that names itself is given another name, which stack traces and `constructor.name` would show. */
const renamed = /^var (?<name>\w+) = class (?<other>_\k<name>)\b/gm

const { outputFiles } = await build({
  entryPoints: ['index.ts', 'sync.ts'],
  outdir: '.',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  plugins: [sources],
  logLevel: 'warning',
  write: false,
})

for (const { path, text } of outputFiles) {
  const names = [...text.matchAll(renamed)].map(({ groups }) => groups)
  await writeFile(
    path,
    names.reduce((code, { name, other }) => code.replaceAll(new RegExp(`\\b${other}\\b`, 'g'), name), text),
  )
}
