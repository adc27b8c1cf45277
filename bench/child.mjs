// One way of one question, in a process of its own: child.mjs FILE WAY CONTEXT prints what was measured as JSON.

import process from 'node:process'
import { pathToFileURL } from 'node:url'

import { thin } from './harness/statistics.mjs'

const [file, way, context] = process.argv.slice(2)
const { question } = await import(pathToFileURL(file).href)
const found = await question.ways[way].run(JSON.parse(context))
const tables = Array.isArray(found) ? { time: found } : found
console.log(JSON.stringify(Object.fromEntries(Object.entries(tables).map(([name, values]) => [name, thin(values)]))))
process.exit()
