// Compilers: each checks a program and the declarations, of all that a project can be strict about, in every kind of module,
// and under another name: `npm install alias@npm:memory-map`.

import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { Project, tools } from './project.mjs'

const before57 = `import { mapShared, MemoryMap, type SharedMapOptions } from 'memory-map'
import { Channel, Mutex } from 'memory-map/sync'
const options: SharedMapOptions = { protection: 'read-write', create: true, length: 8192 }
const map: MemoryMap = mapShared('file', options)
const mutex: Mutex = new Mutex(map, 0)
export const channel: Channel = Channel.open(map)
export const bytes: Uint8Array = map.buffer, floats: Float32Array = map.typedArray(Float32Array)
export const source: BufferSource = map.buffer, body: BodyInit = map.view(1), blob = new Blob([map.buffer])
export const response = new Response(map.buffer), taken = mutex.tryLock() === 'acquired'
// @ts-expect-error not an option
mapShared('file', { writable: true })
`
const from57 = `${before57}export const plain: Uint8Array<ArrayBuffer> = map.buffer
const shared = mapShared('file', { backing: 'shared-array-buffer' })
export const words: Int32Array<SharedArrayBuffer> = shared.typedArray(Int32Array)
`
const modules = {
  node16: { module: 'node16', moduleResolution: 'node16' },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
  CommonJS: { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' },
}

const compile = (name, version, source) => async () => {
  const aliased = source.replaceAll("'memory-map", "'alias")
  const sources = ['.mts', '.cts', '.ts'].map((end) => ({ [`user${end}`]: source, [`alias${end}`]: aliased }))
  const project = new Project(Object.assign({}, ...sources))
  cpSync(project.path('node_modules', 'memory-map'), project.path('node_modules', 'alias'), { recursive: true })
  const types = project.path('node_modules', '@types', 'node')
  mkdirSync(dirname(types), { recursive: true })
  symlinkSync(join(tools, '@types', 'node'), types)
  for (const [kind, options] of Object.entries(modules)) {
    // Version 7 has only modules as Node and bundlers resolve them.
    if (kind === 'CommonJS' && version >= 7) continue
    const { ignoreDeprecations, ...rest } = options
    const compilerOptions = {
      ...rest,
      ...(version >= 6 && ignoreDeprecations ? { ignoreDeprecations } : {}),
      target: 'es2022',
      lib: ['es2023', 'esnext.disposable', 'dom'],
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    }
    for (const program of ['user', 'alias']) {
      const files = (kind.startsWith('node') ? ['.mts', '.cts'] : ['.ts']).map((end) => program + end)
      project.write({ [`${kind}.json`]: JSON.stringify({ compilerOptions, files }) })
      await project.tool(join(name, 'bin', 'tsc'), ['-p', `${kind}.json`, '--pretty', 'false'])
    }
  }
  project.remove()
  return ''
}

export const compilers = {
  'TypeScript 5.4': compile('typescript5.4', 5.4, before57),
  'TypeScript 5.5': compile('typescript5.5', 5.5, before57),
  'TypeScript 5.6': compile('typescript5.6', 5.6, before57),
  'TypeScript 5.7': compile('typescript5.7', 5.7, from57),
  'TypeScript 5.8': compile('typescript5.8', 5.8, from57),
  'TypeScript 5.9': compile('typescript', 5.9, from57),
  'TypeScript 6.0': compile('typescript6', 6, from57),
  'TypeScript 7.0': compile('typescript7', 7, from57),
}
