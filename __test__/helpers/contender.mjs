// One of two processes that change the same words of a file, which is the first argument.

const { mapShared } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
const { Mutex, Semaphore } = await import(process.env.MEMORY_MAP_ROOT + 'sync.js')

const [, , file, forEver] = process.argv
const map = mapShared(file, { protection: 'read-write' })
const mutex = new Mutex(map, 64)
// An ArrayBuffer: for the engine, this is memory that is not shared.
const memory = map.arrayBuffer
const words = new Int32Array(memory)
const big = new BigInt64Array(memory)

if (forEver) {
  for (;;) {
    mutex.lock()
    Atomics.store(words, 41, 1)
    Atomics.add(words, 40, 1)
    Atomics.store(words, 41, 0)
    mutex.unlock()
  }
}

const semaphore = new Semaphore(map, 128, 3)

// Both begin at once.
Atomics.add(words, 50, 1)
while (Atomics.load(words, 50) < 2) continue

for (let i = 0; i < 20_000; i++) {
  mutex.lock()
  words[48]++
  mutex.unlock()
  if (semaphore.tryAcquire()) semaphore.release()
}

for (let i = 0, seen = 0n; i < 200_000; i++) {
  for (let was; (was = Atomics.compareExchange(big, 28, seen, seen + 1n)) !== seen;) seen = was
  seen += 1n
  Atomics.add(words, 60, 1)
}
