// lint-layers.mjs: fails where a file of the Rust crates imports one of a layer above its own, where files import each
// other in a circle, and where the C library is called outside of `sys`. Declaring a module and re-exporting its names
// (`pub use`) is no import, and tests may import all.

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The modules of each crate, from the top down. */
const layers = {
  'memory-map': [
    ['ipc'],
    ['mapping'],
    ['region'],
    ['guard'],
    ['file', 'allocate'],
    ['sys'],
    ['options', 'advice', 'fault', 'protection', 'error', 'lock_anyway'],
  ],
  'memory-map-node': [
    ['calls'],
    ['advice', 'handle', 'libuv', 'mapping', 'memory_names', 'search', 'shared_array_buffer', 'sync', 'wasm'],
    ['tied'],
    ['environment'],
    ['held'],
    ['array_buffer', 'task'],
    ['error'],
    ['platform'],
  ],
}

/** Folders whose files count as one: those of a system share what `mod.rs` re-exports. */
const units = new Set(['sys'])

/** Who may call the C library: `sys`, which has a function for each call, and what must be async-signal-safe. */
const callsLibc = /^(sys\/|guard\/signal_chain\.rs$|platform\/)/

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** Rust without comments and without the tests, which come last in a file. */
function source(file) {
  const text = readFileSync(file, 'utf8').replace(/\/\/.*$/gm, '')
  const tests = text.search(/^#\[cfg\((all\()?test\b/m)
  return tests < 0 ? text : text.slice(0, tests)
}

/** `a::{b, c::{d as e}}` as [['a', 'b'], ['a', 'c', 'd']], each with the name that it gets here. */
function* expand(tree, prefix = []) {
  const brace = tree.indexOf('{')
  if (brace < 0) {
    const [path, alias] = tree.trim().split(/\s+as\s+/)
    const names = path.split('::').filter(Boolean)
    const whole = [...prefix, ...(names.at(-1) === 'self' && prefix.length > 0 ? names.slice(0, -1) : names)]
    yield { path: whole, name: alias ?? whole.at(-1) }
    return
  }
  const head = [...prefix, ...tree.slice(0, brace).trim().split('::').filter(Boolean)]
  let [depth, start] = [0, brace + 1]
  for (let at = brace; at < tree.length; at++) {
    if (tree[at] === '{') depth++
    const ends = tree[at] === '}' && --depth === 0
    if (ends || (tree[at] === ',' && depth === 1)) {
      const part = tree.slice(start, at)
      if (part.trim()) yield* expand(part, head)
      start = at + 1
    }
  }
}

/** A module: its files (one for each system, sometimes), its children, and the names that it re-exports. */
class Module {
  constructor(parent) {
    Object.assign(this, { parent, files: [], children: new Map(), names: new Map() })
  }

  add(file, folder) {
    this.files.push(file)
    const text = source(file)
    for (const [, attributes, name] of text.matchAll(
      /((?:#\[[^\n]*?\]\s*|#\[cfg_attr\([^[]*?\)\]\s*)*)(?:pub(?:\([a-z]+\))?\s+)?mod\s+(\w+);/g,
    )) {
      const paths = [...attributes.matchAll(/path\s*=\s*"([^"]+)"/g)].map(([, path]) => join(folder, path))
      const plain = [join(folder, `${name}.rs`), join(folder, name, 'mod.rs')]
      // With `cfg_attr` the plain file may be the one of all other systems.
      const candidates = paths.length > 0 && !/cfg_attr/.test(attributes) ? paths : [...paths, ...plain]
      const child = this.children.get(name) ?? new Module(this)
      this.children.set(name, child)
      for (const path of candidates.filter(existsSync)) {
        if (child.files.includes(path)) continue
        const isRoot = path.endsWith('mod.rs') || paths.includes(path)
        child.add(path, isRoot ? dirname(path) : join(folder, name))
      }
    }
    for (const [, tree] of text.matchAll(/\bpub(?:\([a-z]+\))?\s+use\s+([^;]+);/g))
      for (const { path, name } of expand(tree)) this.names.set(name, path)
  }

  /** The module that a path leads to, as seen from here. */
  resolve(path, seen = new Set()) {
    const [first, ...rest] = path
    if (first === undefined) return this
    if (first === 'self') return this.resolve(rest, seen)
    if (first === 'super') return this.parent?.resolve(rest, seen)
    if (first === 'crate') return this.parent ? this.parent.resolve(path, seen) : this.resolve(rest, seen)
    const child = this.children.get(first)
    if (child) return child.resolve(rest, seen)
    const key = `${this.files[0]} ${first}`
    if (this.names.has(first) && !seen.has(key)) return this.resolve([...this.names.get(first), ...rest], seen.add(key))
    return this
  }

  *all() {
    yield this
    for (const child of this.children.values()) yield* child.all()
  }
}

/** What a file imports: the `use` declarations that do not re-export its own children, and paths in the text. */
function* imports(file, module) {
  const text = source(file)
  const uses = /\b(pub(?:\([a-z]+\))?\s+)?use\s+([^;]+);/g
  for (const [, given, tree] of text.matchAll(uses))
    for (const { path } of expand(tree)) {
      const isOwn = module.children.has(path[0] === 'self' ? path[1] : path[0])
      if ((isOwn && !given) || /^(crate|super)$/.test(path[0])) yield path
    }
  for (const [path] of text.replace(uses, '').matchAll(/(?<![\w:])(?:crate|super)(?:::\w+)+/g)) yield path.split('::')
  for (const [path, first] of text.replace(uses, '').matchAll(/(?<![\w:.])([a-z_]+)(?:::\w+)+/g))
    if (module.children.has(first)) yield path.split('::')
}

/** The circles of a graph: its strongly connected parts of more than one node. */
function circles(graph) {
  const [index, low, stack, found] = [new Map(), new Map(), [], []]
  function visit(node) {
    index.set(node, index.size)
    low.set(node, index.get(node))
    stack.push(node)
    for (const next of graph.get(node) ?? []) {
      if (!index.has(next)) visit(next)
      if (stack.includes(next)) low.set(node, Math.min(low.get(node), low.get(next)))
    }
    if (low.get(node) === index.get(node)) {
      const part = stack.splice(stack.indexOf(node))
      if (part.length > 1) found.push(part.toSorted())
    }
  }
  for (const node of graph.keys()) if (!index.has(node)) visit(node)
  return found
}

const complaints = []
for (const [name, order] of Object.entries(layers)) {
  const folder = join(root, 'crates', name, 'src')
  const top = new Module()
  top.add(join(folder, 'lib.rs'), folder)
  const first = (file) => relative(folder, file).split(/[/\\]/)[0].replace(/\.rs$/, '')
  const layer = (file) => order.findIndex((modules) => modules.includes(first(file)))
  const node = (file) => (units.has(first(file)) ? `${first(file)}/` : relative(folder, file))
  const graph = new Map()
  for (const module of top.all())
    for (const file of module.files) {
      if (module !== top && layer(file) < 0)
        complaints.push(`${name}: ${node(file)} is of no layer: add it to lint-layers.mjs`)
      const targets = graph.get(node(file)) ?? new Set()
      graph.set(node(file), targets)
      const call = callsLibc.test(relative(folder, file).replaceAll('\\', '/'))
        ? null
        : /\blibc::[a-z_]\w*\(/.exec(source(file))
      if (call) complaints.push(`${name}: ${node(file)} calls ${call[0]}): put it into sys/`)
      if (module === top) continue
      for (const path of imports(file, module)) {
        for (const target of module.resolve(path)?.files ?? []) {
          if (node(target) === node(file)) continue
          targets.add(node(target))
          if (layer(target) < layer(file))
            complaints.push(`${name}: ${node(file)} imports ${node(target)} (${path.join('::')}), which is above it`)
        }
      }
    }
  for (const circle of circles(graph)) complaints.push(`${name}: a circle of imports: ${circle.join(', ')}`)
  const known = new Set([...top.all()].flatMap((module) => module.files.map((file) => relative(folder, file))))
  const files = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith('.rs'))
  for (const file of files) if (!known.has(file)) complaints.push(`${name}: ${file} is in no module`)
}

for (const complaint of new Set(complaints)) console.error(complaint)
process.exitCode = complaints.length > 0 ? 1 : 0
