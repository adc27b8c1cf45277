// Asks one question: every way in turn, each time in a process of its own (A B C, B C A, ...).

import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { pathOf } from './files.mjs'
import { ask, isThere, programs } from './programs.mjs'
import { summary } from './statistics.mjs'

const here = fileURLToPath(new URL('..', import.meta.url))

/**
 * What was found for a question: `tables[table][way][case]` is a summary of all measurements; `failures` says why
 * ways have none. Throws where a way of this library's own fails.
 */
export async function measure(name, question, { quick }) {
  const cases = question.cases(quick)
  const pending = cases.flatMap((one) =>
    Object.entries(question.ways)
      .filter(([, way]) => way.only?.(one) ?? true)
      .map(([wayName, way]) => ({ wayName, way, one })),
  )
  const samples = {}
  const failures = {}
  const rounds = quick ? 1 : (question.rounds ?? 2)
  for (let round = 0; round < rounds; round++) {
    for (const { wayName, way, one } of rotated(pending, round)) {
      if (failures[wayName]?.[one.name]) continue
      try {
        const answer = await ask(...command(name, wayName, way, contextOf(one, quick)))
        for (const [table, values] of Object.entries(answer)) {
          const cells = ((samples[table] ??= {})[wayName] ??= {})
          ;(cells[one.name] ??= []).push(...values)
        }
      } catch (error) {
        if (wayName.startsWith('memory-map')) throw new Error(`${name}, ${wayName}, ${one.name}`, { cause: error })
        ;(failures[wayName] ??= {})[one.name] = error.message
      }
    }
  }
  if (question.agree) checkAnswers(name, cases, samples.answer)
  const tables = mapValues(question.tables, (_, table) => inOrder(question.ways, samples[table] ?? {}))
  return { cases: cases.map((one) => one.name), tables, failures }
}

/** All ways of a case must have given the same answer. */
function checkAnswers(name, cases, answers) {
  for (const one of cases) {
    const found = new Set(Object.values(answers).flatMap((cells) => cells[one.name] ?? []))
    if (found.size > 1) throw new Error(`${name}, ${one.name}: the answers differ: ${[...found].join(', ')}`)
  }
}

function command(name, wayName, way, context) {
  const program = way.program ?? 'node'
  if (!isThere(program)) throw new Error(`${program} is not there`)
  const [first, ...rest] = programs[program]
  if (way.args) return [first, [...rest, ...way.args(context).map(String)]]
  const file = path.join(here, 'questions', `${name}.mjs`)
  return [first, [...rest, path.join(here, 'child.mjs'), file, wayName, JSON.stringify(context)]]
}

/** A case as its process gets it: with paths for files, and the size of its own. */
const contextOf = (one, quick) => ({
  ...Object.fromEntries(Object.entries(one).map(([key, value]) => [key, value?.kind ? pathOf(value) : value])),
  size: one.size ?? one.file?.size,
  quick,
})

const rotated = (list, by) => list.map((_, i) => list[(i + by) % list.length])

const mapValues = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]))

const inOrder = (ways, cells) =>
  Object.fromEntries(
    Object.keys(ways)
      .filter((way) => cells[way])
      .map((way) => [way, mapValues(cells[way], summary)]),
  )
