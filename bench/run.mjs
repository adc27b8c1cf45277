// Measures this library, what a user would pick instead, and what the machine can do at best.
//
//   npm run bench                      everything; writes results.md, results.json and plots/ beside this file
//   npm run bench -- --quick           everything once, small: does it run at all? writes nothing
//   npm run bench -- open sum          these questions only; writes nothing
//   npm run bench -- --resume          a full run that was interrupted, from where it was
//   npm run bench -- --plots           writes the same again from results.json
//
// A question is a file in questions/. Exits with 1 if one of this library's ways crashes, never because of a time.

import process from 'node:process'

import { chosen, given } from '../scripts/arguments.mjs'
import { load, machine } from './harness/machine.mjs'
import { measure } from './harness/measure.mjs'
import { prepare } from './harness/programs.mjs'
import { isMet, targetsOf, toTerminal } from './harness/report.mjs'
import { kept, render, save } from './harness/write.mjs'

const names = [
  'open',
  'sum',
  'random',
  'write',
  'memory',
  'search',
  'scale',
  'guard',
  'faults',
  'touch',
  'view',
  'buffers',
  'ipc',
  'fanout',
  'locks',
  'rpc',
  'stream',
  'start',
  'wasm',
]

const flag = { type: 'boolean', default: false }
const { values, positionals: asked } = given(Infinity, { quick: flag, resume: flag, plots: flag })
const { quick, resume, plots } = values
const questions = chosen('question', asked, names)
const isFull = !quick && asked.length === 0

if (plots) {
  await render()
  process.exit()
}

prepare()
const facts = { date: new Date().toISOString().slice(0, 10), ...machine() }
for (const [name, fact] of Object.entries(facts)) console.log(`${name}: ${fact}`)

const results = resume ? await kept() : []
const begin = performance.now()
const loads = [load()]
for (const name of questions) {
  if (results.some((result) => result.name === name)) continue
  const start = performance.now()
  const { question } = await import(`./questions/${name}.mjs`)
  const found = await measure(name, question, { quick })
  found.targets = quick ? [] : targetsOf(question, found)
  found.seconds = Math.round((performance.now() - start) / 1000)
  const took = `${found.seconds} s`
  if (quick)
    console.log(`ok ${name}: ${Object.keys(question.ways).length} ways, ${took}`, ...Object.entries(found.failures))
  else console.log(`${toTerminal(question, found)}\n(${took})`)
  results.push({ name, question, found })
  loads.push(load())
  facts['load average'] = `from ${Math.min(...loads)} to ${Math.max(...loads)}, of which the run itself makes 1 or 2`
  facts.duration = `${((performance.now() - begin) / 60_000).toFixed(1)} minutes`
  if (isFull) save(facts, results)
}

const all = results.flatMap(({ found }) => found.targets)
console.log(`\n${facts.duration}, load average ${facts['load average']}`)
if (all.length > 0) console.log(`${all.filter(isMet).length} of ${all.length} targets met`)
if (isFull) await render()
