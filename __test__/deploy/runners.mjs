// Runners of tests: each runs tests that map, are told a fault and lock, in as many processes, threads and realms as it has.

import { mkdirSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { Project, runtimes, tools } from './project.mjs'

const node = process.execPath
const bun = join(runtimes, 'bun', 'bin', 'bun')
const deno = join(runtimes, 'deno', 'deno')

const required = `const fs = require('node:fs'), os = require('node:os'), path = require('node:path')
const { mapShared } = require('memory-map'), { Mutex } = require('memory-map/sync')`
const imported = `import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { mapShared } from 'memory-map'
import { Mutex } from 'memory-map/sync'`
const check = `async () => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'tested-')), 'file'), told = []
  fs.writeFileSync(file, Buffer.alloc(8192))
  const map = mapShared(file, { protection: 'read-write', onFault: (fault) => told.push(fault.kind, fault.map === map) })
  if (!Buffer.isBuffer(map.buffer) || new Mutex(map, 0).tryLock() !== 'acquired') throw new Error('not right')
  fs.truncateSync(file, 0)
  if (map.buffer[5000] !== 0) throw new Error('not zero')
  for (let n = 0; n < 600 && told.length === 0; n++) await new Promise((resolve) => setTimeout(resolve, 50))
  if (told.join() !== 'beyond-end,true') throw new Error('told ' + told)
  map.close()
}`
const given = (before, name = 'test') => `${before}\n${name}('maps', ${check})\n`

/** Tests in several files, with packages of the tools' in the project's node_modules. */
function project(files, ...packages) {
  const made = new Project(files)
  for (const name of packages) {
    mkdirSync(dirname(made.path('node_modules', name)), { recursive: true })
    symlinkSync(join(tools, name), made.path('node_modules', name))
  }
  return made
}

const twice = (end, text) => ({ [`a${end}`]: text, [`b${end}`]: text })
const resetting = `${given(required)}
test.each([...Array(12).keys()])('after a reset: %d', async () => {
  jest.resetModules()
  const warned = jest.fn()
  process.on('warning', warned)
  const { mapShared } = require('memory-map')
  expect(() => mapShared('file', { ofset: 1 })).toThrow(TypeError)
  const map = mapShared(__filename)
  expect(map.buffer.equals(fs.readFileSync(__filename))).toBe(true)
  map.close()
  await new Promise((resolve) => setImmediate(resolve))
  expect(warned).not.toHaveBeenCalled()
})`

const jest =
  (path, config, files, args = [], env = {}) =>
  async () => {
    const made = project(
      { ...files, 'jest.config.json': JSON.stringify({ testMatch: ['**/[ab].test.*'], ...config }) },
      '@babel/preset-env',
      '@swc/core',
    )
    const output = await made.run(node, [...(env.node ?? []), join(tools, path, 'bin', 'jest.js'), ...args], {
      env: { NODE_ENV: 'test', ...env.env },
    })
    made.remove()
    return output
  }
const modules = { node: ['--experimental-vm-modules'] }
const plain = { transform: {} }
const module = (name) => join(tools, name)

const vitest = (pool) => async () => {
  const made = project(
    {
      ...twice('.test.mjs', given(`import { test } from 'vitest'\n${imported}`)),
      'package.json': '{ "type": "module" }',
    },
    'vitest',
    'vite',
  )
  return made.tool('vitest/vitest.mjs', ['run', '--pool', pool], { env: { NODE_ENV: 'test' } })
}

const ava =
  (...flags) =>
  () => {
    const test = given(`import test from 'ava'\n${imported}`)
    const passing = test.replace("'maps', async () => {", "'maps', async (t) => { t.pass()")
    const files = { ...twice('.test.mjs', passing), 'package.json': '{ "type": "module" }' }
    return project(files, 'ava').tool('ava/entrypoints/cli.mjs', [...flags, '*.test.mjs'])
  }

export const runners = {
  'Jest 29': jest('jest29', {}, twice('.test.js', resetting)),
  'Jest 30': jest('jest', {}, twice('.test.js', resetting)),
  'Jest 30, one worker, in its process': jest('jest', {}, twice('.test.js', resetting), ['-i']),
  'Jest 30, worker threads': jest('jest', { workerThreads: true }, twice('.test.js', resetting), ['--maxWorkers=2']),
  'Jest 30, --experimental-vm-modules': jest('jest', plain, twice('.test.mjs', given(imported)), [], modules),
  'Jest 29, --experimental-vm-modules': jest('jest29', plain, twice('.test.mjs', given(imported)), [], modules),
  'babel-jest': jest(
    'jest',
    {
      transform: {
        '\\.m?js$': [
          module('babel-jest'),
          { presets: [[module('@babel/preset-env'), { targets: { node: 'current' } }]] },
        ],
      },
    },
    twice('.test.js', given(imported)),
  ),
  'ts-jest': jest(
    'jest29',
    {
      transform: {
        '\\.ts$': [module('ts-jest'), { diagnostics: false, tsconfig: { module: 'commonjs', esModuleInterop: true } }],
      },
    },
    twice('.test.ts', given(imported)),
  ),
  '@swc/jest': jest('jest', { transform: { '\\.m?js$': module('@swc/jest') } }, twice('.test.js', given(imported))),
  'Vitest, forks': vitest('forks'),
  'Vitest, threads': vitest('threads'),
  'Vitest, vmThreads': vitest('vmThreads'),
  'Vitest, vmForks': vitest('vmForks'),
  ava: ava(),
  'ava, worker threads': ava('--worker-threads'),
  mocha: () =>
    project(twice('.test.cjs', given(required, 'it'))).tool('mocha/bin/mocha.js', [
      '--check-leaks',
      '--timeout',
      '60000',
      '*.test.cjs',
    ]),
  tap: () =>
    project(twice('.test.cjs', given(`const t = require('tap')\n${required}`, 't.test')), 'tap').run(node, [
      'a.test.cjs',
    ]),
  'node:test': () =>
    project(twice('.test.mjs', given(`import test from 'node:test'\n${imported}`))).run(node, ['--test']),
  'node:test, CommonJS': () =>
    project(twice('.test.cjs', given(`const test = require('node:test')\n${required}`))).run(node, ['--test']),
  "Playwright's runner": () =>
    project(
      {
        ...twice('.spec.js', given(`import { test } from '@playwright/test'\n${imported}`)),
        'package.json': '{ "type": "module" }',
      },
      '@playwright/test',
    ).tool('@playwright/test/cli.js', ['test']),
  tsx: () =>
    project({ 'a.test.ts': given(`import test from 'node:test'\n${imported}`) }).tool('tsx/dist/cli.mjs', [
      'a.test.ts',
    ]),
  'ts-node': () =>
    project(
      {
        'a.test.ts': given(`import test from 'node:test'\n${imported}`),
        'tsconfig.json': '{ "compilerOptions": { "module": "commonjs", "esModuleInterop": true } }',
      },
      'typescript',
    ).tool('ts-node/dist/bin.js', ['-T', 'a.test.ts']),
  'bun test': () =>
    project(twice('.test.js', given(`import { test } from 'bun:test'\n${imported}`))).run(bun, ['test']),
  'deno test': () =>
    project(twice('.test.mjs', given(imported, 'Deno.test'))).run(deno, [
      'test',
      '-A',
      '--no-check',
      '--node-modules-dir=manual',
    ]),
  'deno run with --allow-ffi and a folder': async () => {
    const made = project({
      'a.mjs': `import { mapAnonymous, mapShared } from 'memory-map'\nmapAnonymous(1).close()\nmapShared('./package.json').close()`,
    })
    return made.run(deno, [
      'run',
      '--no-prompt',
      '--allow-ffi',
      `--allow-read=${made.folder}`,
      '--node-modules-dir=manual',
      'a.mjs',
    ])
  },
}
