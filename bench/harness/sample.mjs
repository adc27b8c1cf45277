// Measuring inside a process: of one way alone, because code that has seen one kind of memory is compiled for it.

import { Bench } from 'tinybench'

/** Microseconds of one call, many times; `batch` is how many calls `run` makes. */
export async function sample(run, { time = 200, batch = 1 } = {}) {
  const bench = new Bench({ time, warmupTime: time / 2, iterations: 1, warmupIterations: 1, retainSamples: true })
  bench.add('way', run)
  const [{ result }] = await bench.run()
  if (result.error) throw result.error
  return result.latency.samples.map((milliseconds) => (milliseconds * 1000) / batch)
}

/** What `sample` gives, and the collector's share of the time in percent, if the runtime tells it. */
export async function sampleWithCollector(run, options) {
  const { performance, PerformanceObserver } = await import('node:perf_hooks')
  let collecting = 0
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) collecting += duration
  })
  try {
    observer.observe({ entryTypes: ['gc'] })
  } catch {
    return { time: await sample(run, options) }
  }
  const start = performance.now()
  const time = await sample(run, options)
  const took = performance.now() - start
  await new Promise((resolve) => setTimeout(resolve, 10)) // entries come a little later
  observer.disconnect()
  return 'Deno' in globalThis || 'Bun' in globalThis ? { time } : { time, collector: [(collecting / took) * 100] }
}

/** Milliseconds that `run` takes. */
export function timed(run) {
  const start = performance.now()
  run()
  return performance.now() - start
}

/** Microseconds of a trip, of 500 at a time: without promises, which would cost more than the trip. */
export function tripsSync(trip, { quick }) {
  const times = []
  for (let batch = 0; batch < (quick ? 2 : 40); batch++) {
    const start = performance.now()
    for (let i = 0; i < 500; i++) trip()
    times.push((performance.now() - start) * 2)
  }
  return { trip: times.slice(quick ? 0 : 10) }
}

/** Frees what only the collector frees. */
export async function collect() {
  if ('Bun' in globalThis) Bun.gc(true)
  else gc()
  await new Promise((resolve) => setImmediate(resolve)) // finalizers run on the next turn
}
