// Bundles the declarations that the compiler made of the sources, in target/types, into one for each entry point; and once
// more for compilers before 5.7, in which Buffers and typed arrays do not say what their memory is. What is declared twice
// is two types, so the CommonJS declarations are the ones for ES modules, too: those can import CommonJS, but not the other
// way round.

import { copyFile, mkdir, writeFile } from 'node:fs/promises'

import { format, resolveConfig } from 'prettier'
import { rolldown } from 'rolldown'
import { dts } from 'rolldown-plugin-dts'

const compiled = 'target/types'
const ofOldCompilers = 'ts5.6'

/** Has `memory-map/sync` take the class from the main module, under any name that the package is installed by. */
const oneClass = {
  name: 'one class',
  resolveId(id, importer) {
    const isMain = id.endsWith('/index.js') || (id.endsWith('/memory-map.js') && importer?.includes('/sync/'))
    return isMain ? { id: './index.cjs', external: true } : undefined
  },
}

/** The declarations of an entry point. */
async function bundle(name) {
  const bundled = await rolldown({
    input: `${compiled}/${name}.d.ts`,
    external: (id) => id.startsWith('node:'),
    plugins: [oneClass, dts({ dtsInput: true, tsconfig: false })],
  })
  const { output } = await bundled.generate({ format: 'es', comments: true })
  const origin = /^\/\/(#region .*|#endregion.*| .*\.d\.ts)\n/gm
  return output[0].code.replace(origin, '')
}

const onMemory = /\b(Buffer|DataView|(Int|Uint|Float|BigInt|BigUint)(8|16|32|64)(Clamped)?Array)<[^<>]*>/g

function forOldCompilers(code) {
  return code
    .replaceAll(onMemory, '$1')
    .replaceAll('IteratorObject<', 'IterableIterator<')
    .replaceAll(', undefined>;', '>;')
}

/** Compilers from 6.0 on take only those types that a project asks for, which need not be Node's. */
const needsNode = '/// <reference types="node" />\n'

const options = await resolveConfig('index.d.cts')

async function write(path, code) {
  await writeFile(path, await format(code, { ...options, parser: 'typescript' }))
}

// The compiler copies no .d.ts; this one comes from the build of the native library.
await copyFile('lib/binding.d.ts', `${compiled}/lib/binding.d.ts`)
await mkdir(ofOldCompilers, { recursive: true })
for (const name of ['index', 'sync']) {
  const modern = await bundle(name)
  for (const [folder, code] of [
    ['.', modern],
    [ofOldCompilers, forOldCompilers(modern)],
  ]) {
    await write(`${folder}/${name}.d.cts`, needsNode + code)
    await write(`${folder}/${name}.d.ts`, `export * from './${name}.cjs'`)
  }
}
