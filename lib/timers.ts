// Timers and the clock of the runtime, as they were when this was loaded. Tests replace those of the global object, and a
// test's own global object may lack some; what is under way here must not wait until a test lets its time go on.

import { thisProcess } from './environment.js'

const { nextTick, versions } = thisProcess.getBuiltinModule('node:process')
/** Bun and Deno take long to load these modules, and tests there have the runtime's own global object. */
const isNode = !('bun' in versions || 'deno' in versions)
const { setImmediate, setTimeout, clearTimeout } = isNode ? thisProcess.getBuiltinModule('node:timers') : globalThis
const { performance } = isNode ? thisProcess.getBuiltinModule('node:perf_hooks') : globalThis
const { queueMicrotask } = globalThis
const now: () => number = performance.now.bind(performance)

export { clearTimeout, nextTick, now, queueMicrotask, setImmediate, setTimeout }
