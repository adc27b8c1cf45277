// `npm test`: runs the Rust tests, then those in TypeScript even if some failed, and ends with the result of both.

import { spawn } from 'node:child_process'
import { stripVTControlCharacters } from 'node:util'

/** What is counted, in lines of what the tests print. */
const suites = [
  {
    name: 'Rust',
    script: 'test:rust',
    passed: /^test result: .* (\d+) passed/,
    skipped: /^test result: .* (\d+) ignored/,
    failed: /^(?:test )?(\S+) (?:\.\.\.|---) FAILED/,
  },
  {
    name: 'TypeScript',
    script: 'test:js',
    passed: /^ *✔/,
    skipped: /^ *- \[skip\]/,
    failed: /^ *✘ (?:\[fail\]: )?(.*)/,
  },
]

/** The number that a line says, or 1 where it stands for one test. */
const count = (line, pattern) => Number(pattern.exec(line)?.[1] ?? pattern.test(line))

/** Runs a suite, shows all it prints, and counts. */
async function run({ name, script, passed, skipped, failed }) {
  const found = { name, passed: 0, skipped: 0, failed: new Set(), seconds: 0 }
  const begun = Date.now()
  let rest = ''
  const read = (text) => {
    const lines = (rest + stripVTControlCharacters(text)).split('\n')
    rest = lines.pop()
    for (const line of lines) {
      found.passed += count(line, passed)
      found.skipped += count(line, skipped)
      const title = failed.exec(line)?.[1]
      if (title) found.failed.add(title)
    }
  }
  // npm is a batch file on Windows, which takes a shell.
  const child = spawn('npm', ['run', '--silent', script], {
    stdio: ['inherit', 'pipe', 'inherit'],
    shell: process.platform === 'win32',
  })
  child.stdout.setEncoding('utf8').on('data', (text) => {
    process.stdout.write(text)
    read(text)
  })
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code !== 0 && found.failed.size === 0) found.failed.add(`npm run ${script} ended with ${code}: see above`)
  return { ...found, seconds: Math.round((Date.now() - begun) / 1000) }
}

const results = []
for (const suite of suites) results.push(await run(suite))

console.log()
for (const { name, passed, skipped, failed, seconds } of results) {
  console.log(`${name.padEnd(12)}${passed} passed, ${failed.size} failed, ${skipped} skipped, ${seconds} s`)
}
for (const { failed } of results) for (const title of failed) console.log(`  failed: ${title}`)
process.exitCode = results.some(({ failed }) => failed.size > 0) ? 1 : 0
