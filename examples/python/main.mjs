// Node and Python change the same numbers. Python gets the memory as descriptor 3; nothing is copied or sent.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { mapAnonymous } from 'memory-map'

const COUNT = 1_000_000
const memory = mapAnonymous(COUNT * 8, { shared: true })
try {
  const numbers = memory.typedArray(Float64Array)
  for (let at = 0; at < COUNT; at++) numbers[at] = at

  const script = fileURLToPath(new URL('square.py', import.meta.url))
  const python = spawn(process.env.PYTHON ?? 'python3', [script], {
    stdio: ['ignore', 'inherit', 'inherit', memory.fd],
  })
  const [code] = await once(python, 'exit')
  if (code !== 0) throw new Error(`Python ended with ${code}`)

  console.log(`Node sees ${numbers[3]} and ${numbers[COUNT - 1]}`)
} finally {
  memory.close()
}
