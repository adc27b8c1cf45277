// Random programs on this runtime, each step compared with the model (operations.mjs); one that fails is made shorter and printed.
//
//     run.mjs SEED PROGRAMS main|worker
//
// Each program is in the file `program.mjs` while it runs, so that one that ends the process is there too.

import fs from 'node:fs'
import { join } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

import fc from '../../node_modules/fast-check/lib/fast-check.js'
import { bytes, check, Model, NUMBERS, SLOTS, STEPS } from './operations.mjs'

const root = new URL('../../', import.meta.url).href
const main = await import(`${root}index.js`)
const folder = isMainThread ? process.cwd() : workerData.folder
const [seed, programs, thread] = isMainThread ? process.argv.slice(2) : workerData.args
const files = Array.from({ length: SLOTS }, (_, i) => join(folder, `file-${i}`))

/** What a program has besides the library, as it is printed. */
const PRELUDE = `
const onFault = () => {}
const maps = []
const held = []
const turn = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms))
const collect = () => (globalThis.Bun ? Bun.gc(true) : gc())
const truncate = (path, size) => fs.truncateSync(path, size)
const store = (path, data, at) => {
  const fd = fs.openSync(path, 'r+')
  fs.writeSync(fd, data, 0, data.length, at)
  fs.closeSync(fd)
}
const copy = (view) => (view.length === 0 ? Buffer.alloc(0) : Buffer.from(view))
const readFile = (path) => fs.readFileSync(path)
const settle = async (map) => {
  for (let i = 0; i < 2; i++) {
    try {
      map.check()
    } catch {}
    await turn()
  }
}
const transferred = (view) => {
  const { byteOffset, length, buffer } = view
  if (length === 0) return Buffer.alloc(0)
  try {
    return Buffer.from(new Uint8Array(structuredClone(buffer, { transfer: [buffer] }), byteOffset, length))
  } catch (error) {
    if (error.name !== 'DataCloneError') throw error
    return Buffer.alloc(0)
  }
}
`

const names = ['fs', 'bytes', 'files', ...Object.keys(main)]
const values = [fs, bytes, files, ...Object.values(main)]
const AsyncFunction = (async () => {}).constructor
const newContext = new AsyncFunction(
  ...names,
  `${PRELUDE}\nreturn [maps, (code) => eval('(async () => (' + code + '))()')]`,
)

function printed(lines) {
  return `// node --expose-gc program.mjs
import fs from 'node:fs'
import { ${Object.keys(main).join(', ')} } from 'memory-map'
${bytes}
const files = ['file-0', 'file-1', 'file-2']
${new Model(main.pageSize).files.map((file, i) => `fs.writeFileSync(files[${i}], bytes(${i * 1000}, ${file.length}))`).join('\n')}
${PRELUDE}
${lines.join('\n')}
`
}

async function runProgram(steps) {
  const model = new Model(main.pageSize, isMainThread || !('Deno' in globalThis))
  for (const [i, path] of files.entries()) fs.writeFileSync(path, model.files[i])
  const [maps, evaluate] = await newContext(...values)
  const lines = []
  // Written as it goes on: a program that ends the process is there then.
  const file = fs.openSync(join(folder, 'program.mjs'), 'w')
  fs.writeSync(file, printed([]))
  try {
    for (const step of steps) {
      const outcome = STEPS[step.do](model, step)
      if (!outcome) continue
      const { code, want, before = '' } = outcome
      lines.push(before.trim(), code)
      fs.writeSync(file, `${before.trim()}\n${code}\n`)
      if (before) await evaluate(before.trim().replace(/;$/, ''))
      const result = {}
      try {
        result.value = await evaluate(code)
      } catch (error) {
        result.error = error
      }
      check(want, result, code)
    }
    for (const [i, path] of files.entries())
      check(model.files[i], { value: fs.readFileSync(path) }, `readFile(files[${i}])`)
  } catch (error) {
    error.program = lines.filter(Boolean)
    throw error
  } finally {
    for (const map of maps) map?.close()
    fs.closeSync(file)
  }
}

const step = fc.record({
  do: fc.constantFrom('map', 'map', 'map', 'from', ...Object.keys(STEPS)),
  ...Object.fromEntries(Object.entries(NUMBERS).map(([name, below]) => [name, fc.nat(below - 1)])),
})

async function runAll() {
  const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }), runProgram)
  const result = await fc.check(property, { seed: Number(seed), numRuns: Number(programs), endOnFailure: false })
  if (!result.failed) return `${result.numRuns} programs, seed ${seed}`
  const error = result.errorInstance
  return `seed ${seed}, path ${result.counterexamplePath}, shrunk ${result.numShrinks} times: ${error?.stack}\n${printed(error?.program ?? [])}`
}

if (!isMainThread) parentPort.postMessage(await runAll())
else if (thread === 'main') end(await runAll())
else {
  const worker = new Worker(new URL(import.meta.url), { workerData: { folder, args: process.argv.slice(2) } })
  worker.on('message', end)
  worker.on('error', (error) => end(`the worker ended: ${error.stack}`))
}

function end(message) {
  fs.writeSync(1, `${message}\n`)
  process.exit(/^\d+ programs/.test(message) ? 0 : 1)
}
