// The operation that the first argument names, with the buffer of a mapping that is closed at once.

import crypto from 'node:crypto'
import fs from 'node:fs'
import { join } from 'node:path'
import zlib from 'node:zlib'

import { check, drain, fixture, isBun, pipe } from '../helpers/observe.mjs'
import { LOOKS, dir, length, isOldOrZero, closeDuring, call, count, outcome, isOld, isTold } from './close-in-use.mjs'

const operations = {
  'fs.write': async () => {
    const output = join(dir, 'output')
    const fd = fs.openSync(output, 'w')
    const { value } = await closeDuring((buffer) => outcome(call((done) => fs.write(fd, buffer, 0, length, 0, done))))
    isTold(value)
    check(isOld(fs.readFileSync(output)), 'the output gets old bytes and nothing else')
  },
  'fs.promises write': async () => {
    const output = join(dir, 'output')
    const handle = await fs.promises.open(output, 'w')
    const { value } = await closeDuring((buffer) => outcome(handle.write(buffer).then(count)))
    isTold(value)
    check(isOld(fs.readFileSync(output)), 'the output gets old bytes and nothing else')
    await handle.close()
  },
  'fs.write to a full pipe': async () => {
    const fd = pipe(join(dir, 'pipe'))
    fs.writeSync(fd, Buffer.alloc(65536, 'A'))
    let bytes
    const { looks, value } = await closeDuring(
      (buffer) => outcome(call((done) => fs.write(fd, buffer, 0, 1 << 20, null, done))),
      { finish: async () => (bytes = await drain(join(dir, 'pipe'), 65536)) },
    )
    check(looks === LOOKS, 'the write waited')
    check(value === 'EFAULT' && isOld(bytes), 'the pipe gets nothing, and the writer is told: ' + value)
  },
  'fs.promises write to a full pipe': async () => {
    const fd = pipe(join(dir, 'pipe'))
    fs.writeSync(fd, Buffer.alloc(65536, 'A'))
    const handle = await fs.promises.open(join(dir, 'pipe'), 'r+')
    let bytes
    const { looks, value } = await closeDuring(
      (buffer) => outcome(handle.write(buffer, 0, 1 << 20, null).then(count)),
      {
        finish: async () => (bytes = await drain(join(dir, 'pipe'), 65536)),
      },
    )
    check(looks === LOOKS, 'the write waited')
    check(value === 'EFAULT' && isOld(bytes), 'the pipe gets nothing, and the writer is told: ' + value)
    await handle.close()
  },
  'fs.read from an empty pipe': async () => {
    const fd = pipe(join(dir, 'pipe'))
    const { looks, value } = await closeDuring(
      (buffer) => outcome(call((done) => fs.read(fd, buffer, 0, 4096, null, done))),
      { finish: () => fs.writeSync(fd, Buffer.alloc(4096, 'C')) },
    )
    check(looks === LOOKS, 'the read waited')
    check(value === 'EFAULT', 'it is told that there is nothing to read into: ' + value)
  },
  // Where the runtime respects UV_THREADPOOL_SIZE the only thread is busy, and zlib surely begins after `close`.
  'zlib, which waits for a thread of the pool': async () => {
    const fd = pipe(join(dir, 'pipe'))
    for (const pack of ['gzip', 'deflate']) {
      const busy = call((done) => fs.read(fd, Buffer.alloc(1), 0, 1, null, done))
      const { value } = await closeDuring(
        (buffer) => call((done) => zlib[pack](buffer, { chunkSize: 1 << 20 }, done)),
        { finish: () => fs.writeSync(fd, 'x') },
      )
      await busy
      const bytes = zlib.unzipSync(value)
      check(bytes.length === length && isOldOrZero(bytes), pack + ' packs old bytes or zeros')
    }
  },
  'crypto.subtle.digest': async () => {
    const { value } = await closeDuring((buffer) => crypto.subtle.digest('SHA-512', buffer), { copies: true })
    check(value.byteLength === 64, 'there is a digest')
  },
  'a hash in the thread pool': async () => {
    const { value } = await closeDuring(
      (buffer) => call((done) => crypto.pbkdf2(buffer, 'salt', 1, 64, 'sha512', done)),
      { copies: true },
    )
    check(value.length === 64, 'there is a key')
  },
  'crypto.randomFill in the thread pool': async () => {
    await closeDuring(
      // Bun says that the buffer was detached meanwhile.
      (buffer) =>
        call((done) => crypto.randomFill(buffer, (error) => done(error))).catch(({ code }) => check(isBun, code)),
      { copies: isBun },
    )
  },
  "an addon's thread that reads": async () => {
    const { startReader, finishPasses } = fixture()
    const { looks, value } = await closeDuring((buffer) => startReader(buffer, 60_000), { finish: finishPasses })
    check(looks === LOOKS, 'the thread went on')
    check(value >= 1, 'it read all of it')
  },
  "an addon's thread that writes": async () => {
    const { startWriter, finishPasses } = fixture()
    const { looks, value } = await closeDuring((buffer) => startWriter(buffer, 60_000), { finish: finishPasses })
    check(looks === LOOKS, 'the thread went on')
    check(value >= 1, 'it wrote all of it')
  },
}

await operations[process.argv[2]]()
console.log('reached the end')
