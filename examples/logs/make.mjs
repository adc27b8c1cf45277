// Writes big.log: a log of 8 GiB, of which all but the start and the end is a hole that takes no room.

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'

const LENGTH = 8 * 2 ** 30
const line = (number) => `2024-05-01T12:00:00 ${number % 7 === 0 ? 'ERROR' : 'INFO'} request ${number}\n`

const log = openSync('big.log', 'w')
ftruncateSync(log, LENGTH)
const end = Array.from({ length: 1000 }, (_, number) => line(number)).join('')
writeSync(log, line(0), 0)
writeSync(log, `\n${end}`, LENGTH - end.length - 1)
closeSync(log)
console.log(`big.log: ${LENGTH / 2 ** 30} GiB`)
