// lint-lengths.mjs: fails where a source file of more than 500 lines does not say on its first line why: `(Long: ...)`.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const MOST = 500
const generated = /\.d\.c?ts$|^(?:index|sync)\.c?js$/

const files = execFileSync('git', ['ls-files', '-z', '--', '*.rs', '*.ts', '*.mjs', '*.c'], { encoding: 'utf8' })
for (const file of files.split('\0').filter((name) => name && !generated.test(name))) {
  const lines = readFileSync(file, 'utf8').split('\n')
  if (lines.length - 1 <= MOST || /\(Long: .+\)/.test(lines[0])) continue
  console.error(`${file}: ${lines.length - 1} lines, and its first line does not say why it is long`)
  process.exitCode = 1
}
