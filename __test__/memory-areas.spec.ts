// A process that has used up its memory areas (vm.max_map_count): faults are contained although the system refuses every new
// mapping. And closed mappings leave few areas behind.

import { readFileSync } from 'node:fs'

import { survives } from './helpers/faults.ts'
import { isLinux, onLinux, where } from './helpers/platform.ts'
import { runtimes } from './helpers/runtimes.ts'

const MOST = isLinux ? Number(readFileSync('/proc/sys/vm/max_map_count', 'latin1')) : Infinity

const onFewAreas = where(MOST < 2 ** 17, 'this system has too many memory areas to use them up')

for (const runtime of runtimes()) {
  for (const backing of ['array-buffer', 'shared-array-buffer']) {
    onFewAreas(`faults are contained when no memory area is left: ${backing}, ${runtime.name}`, (t) =>
      survives(
        t,
        runtime,
        `
        let told = 0
        const options = { backing: '${backing}', protection: 'read-write', onFault: () => told++ }
        const path = makeFile(Buffer.alloc(4 * pageSize, 7))
        const maps = Array.from({ length: 100 }, () => mapShared(path, options))
        for (let i = 0; i < 10; i++) {
          const map = mapAnonymous(4 * pageSize, options)
          map.buffer.fill(7)
          map.protect('read', { offset: 2 * pageSize, length: pageSize })
          maps.push(map)
        }
        const views = maps.map(({ buffer }) => buffer)
        const split = mapAnonymous(${4 * MOST} * pageSize, { protection: 'none', reserve: false })
        const last = []

        // The engine cannot allocate anything later on, so this is compiled, and has its memory, before that.
        let missed = 0
        const fault = (at) => {
          for (let i = 0; i < views.length; i++) {
            views[i][at] = 1
            if (views[i][at] !== 1) missed++
          }
        }
        const takeAreas = (from, to, more) => {
          try {
            for (let at = from; at < to; at += 2 * pageSize) split.protect('read', { offset: at, length: pageSize })
            while (more-- > 0) last.push(mapAnonymous(pageSize, { shared: true }))
          } catch (error) {
            return error.code
          }
        }
        fault(0)
        for (let i = 0; i < 10; i++) takeAreas(pageSize, 100 * pageSize, 1)
        assert.strictEqual(takeAreas(-1, 0, 0), 'ERR_OUT_OF_RANGE')
        gc()

        fs.truncateSync(path, 2 * pageSize)
        const refused = [takeAreas(101 * pageSize, split.length, 0), takeAreas(0, 0, 100)]
        fault(2 * pageSize)
        split.close()
        assert.deepEqual([missed, ...refused], [0, 'ENOMEM', 'ENOMEM'])
        assert.ok(maps.every(({ faults }) => faults === 1))

        await until(() => told === maps.length)
        for (const [i, view] of views.entries()) {
          assert.deepEqual([view[0], view[pageSize], view[2 * pageSize]], [1, 7, i < 100 ? 0 : 7])
        }
        console.log('end')`,
      ),
    )
  }
}

/** What happens while mappings are closed, and how many memory areas they may leave. */
const loops = [
  ['a loop that never yields', '', 15_000],
  [
    'such a loop while zlib is at work',
    "process.getBuiltinModule('node:zlib').gzip(Buffer.alloc(1e6), () => {})",
    32_000, // 16,384 that stay attached, 8,192 that wait, and those that were not collected when it looked
  ],
] as const

for (const runtime of runtimes()) {
  for (const [what, begin, limit] of loops) {
    // Linux leaves gaps between mappings of this size, so the areas that they leave behind are not joined.
    onFewAreas(`mappings that are closed in ${what} leave few memory areas: ${runtime.name}`, (t) =>
      survives(
        t,
        runtime,
        `
        const path = makeFile('')
        fs.truncateSync(path, 3 * 2 ** 20)
        const count = () => fs.readFileSync('/proc/self/maps', 'latin1').split('\\n').length
        let most = 0
        ${begin}
        for (let i = 1; i <= 30_000; i++) {
          const map = mapShared(path)
          map.view(0, 100)
          map.close()
          if (i % 1000 === 0) most = Math.max(most, count())
        }
        assert.ok(most < ${limit}, most + ' areas')
        console.log('end')`,
      ),
    )
  }
  onLinux(`small views of large mappings that are closed in a loop do not use up the addresses: ${runtime.name}`, (t) =>
    survives(
      t,
      runtime,
      `
      const path = makeFile('')
      fs.truncateSync(path, 2 ** 40)
      for (let i = 0; i < 400; i++) {
        const map = mapShared(path)
        map.view(0, 100)
        map.close()
      }
      console.log('end')`,
    ),
  )
}
