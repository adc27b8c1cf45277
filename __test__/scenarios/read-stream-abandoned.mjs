// Streams that nobody reads any more, as pipe() leaves them when a client goes, are not kept by their mapping, nor waited
// for.

import { mapShared } from '../../index.js'
import { check, until } from '../helpers/observe.mjs'
import { path } from './read-stream.mjs'

const map = mapShared(path)
const abandon = () => map.createReadStream().read()
for (let i = 0; i < 20; i++) abandon()
let isClosed = false
map.closeAsync().then(() => (isClosed = true))
check(await until(() => isClosed), 'closeAsync() came back')
console.log('reached the end')
