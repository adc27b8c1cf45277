// A global object like that of jsdom or happy-dom: some functions are missing, and classes are not those that the runtime's
// modules use. And a method that SES adds where the engine has none, to throw.

import assert from 'node:assert'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { makeFile } from '../helpers/scenario.mjs'

const file = resolve(makeFile('some text'))
const Given = URL
delete globalThis.structuredClone
// Tests that have such an object run on Node. Bun's own modules take the function from there.
if (!('bun' in process.versions || 'deno' in process.versions)) delete globalThis.setImmediate
/** @type {any} */
const Browsers = class {
  #url
  constructor(url) {
    this.#url = new Given(url)
  }
  get href() {
    return this.#url.href
  }
  get protocol() {
    return this.#url.protocol
  }
}
globalThis.URL = Browsers
const transfer = () => {
  throw new TypeError('the platform lacks it')
}
Object.assign(ArrayBuffer.prototype, { transfer })

const { mapAnonymous, mapShared } = await import('../../index.js')
const { Channel } = await import('../../sync.js')

for (const url of [pathToFileURL(file), new URL(pathToFileURL(file).href)]) {
  for (const backing of /** @type {const} */ (['array-buffer', 'shared-array-buffer'])) {
    const map = mapShared(url, { backing })
    assert.equal(map.path, file)
    assert.equal(map.buffer.toString(), 'some text')
    map.close()
  }
}
assert.throws(() => mapShared(new Given('https://a.b/c')), { code: 'ERR_INVALID_URL_SCHEME' })
/** @type {any[]} */
const wrong = [
  { href: 1, protocol: 'file:' },
  { href: `file://${file}`, protocol: 'file:', path: file, auth: '' },
]
for (const one of wrong) assert.throws(() => mapShared(one), { code: 'ERR_INVALID_ARG_TYPE' })

const streamed = mapShared(file)
let text = ''
for await (const chunk of streamed.createReadStream()) text += chunk
assert.equal(text, 'some text')
streamed.close()

const memory = mapAnonymous(2 ** 16, { backing: 'shared-array-buffer' })
memory.resize(2 ** 17)
memory.buffer[2 ** 17 - 1] = 7
assert.equal(memory.read(2 ** 17 - 1)[0], 7)
memory.close()

const shared = mapShared(makeFile(2 ** 16), { protection: 'read-write' })
const channel = Channel.create(shared)
const receiving = channel.receiveAsync()
channel.send('message')
assert.equal(String(await receiving), 'message')
shared.close()
console.log('end')
