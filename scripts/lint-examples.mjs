// lint-examples.mjs: fails where no example in the documentation of the Rust core shows a public type or function.
//
// A type is shown by an example of its own or of one of its methods, or by any that names it or calls what returns it; a
// function by any that calls it, and a method by one that shows its type too. Getters, which take nothing and cannot fail,
// need none. That examples compile and work is what `cargo test --doc` is for.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What only the binding has a use for, and no short program could show. */
const exceptions = new Set([
  'Mapping::put_over', // memory that the runtime owns, until its end
  'Mapping::keep',
  'Mapping::disown',
  'Mapping::forsake',
  'has_leftovers',
  'let_go_of_retired',
  'sweep_leftovers',
  'Mapping::let_go', // threads that end while others go on
  'Mapping::write_from', // bytes that lie in the mapping itself
  'Pending::also_in', // a wait in two mappings
  'reclaim_soon', // handlers that are installed later
  'trim_heap',
])

/** The crate as rustdoc has it; as JSON for a nightly compiler only, or for one that is told to behave like one. */
function documentation() {
  const target = join(dirname(fileURLToPath(import.meta.url)), '..', 'target', 'examples')
  const flags = ['--quiet', '--package', 'memory-map', '--locked', '--target-dir', target]
  execFileSync('cargo', ['rustdoc', ...flags, '--', '-Z', 'unstable-options', '--output-format', 'json'], {
    stdio: 'inherit',
    env: { ...process.env, RUSTC_BOOTSTRAP: '1' },
  })
  return JSON.parse(readFileSync(join(target, 'doc', 'memory_map.json'), 'utf8'))
}

const { index, root } = documentation()

/** The public types and functions outside of them, by id. */
const items = new Map()

function collect(id) {
  const item = index[id]
  if (item === undefined || items.has(id)) return
  const { module, use, ...other } = item.inner
  if (module) module.items.forEach(collect)
  else if (use?.is_glob) index[use.id].inner.module.items.forEach(collect)
  else if (use) collect(use.id)
  else if (['struct', 'enum', 'trait', 'function'].some((kind) => kind in other)) items.set(id, item)
}
collect(root)

function methodsOf({ inner: { struct, enum: ofVariants, trait } }) {
  const impls = (struct ?? ofVariants)?.impls.map((id) => index[id].inner.impl) ?? []
  const ids = impls.filter((one) => one.trait === null).flatMap((one) => one.items)
  const own = ids.map((id) => index[id]).filter(({ visibility }) => visibility === 'public')
  const ofTrait = trait?.items.map((id) => index[id]) ?? []
  return own.concat(ofTrait).filter(({ inner }) => 'function' in inner)
}

const examplesOf = ({ docs }) => [...(docs ?? '').matchAll(/^```(?!text).*\n([^]*?)^```/gm)].map(([, code]) => code)
const documented = [...items.values()].flatMap((item) => [item].concat(methodsOf(item)))
const all = documented.flatMap(examplesOf)

const calls = (example, name) => new RegExp(`\\b${name}\\(`).test(example)

const isGetter = ({ inner }) => {
  const { inputs, output } = inner.function.sig
  return inputs.length === 1 && inputs[0][0] === 'self' && output !== null && output.resolved_path?.path !== 'Result'
}

/** Whether an example names a type, or calls what returns it. */
function shows(example, { id, name }) {
  const returns = ({ inner }) => JSON.stringify(inner.function?.sig.output ?? '').includes(`"id":${id},`)
  const makers = documented.filter(returns)
  return new RegExp(`\\b${name}\\b`).test(example) || makers.some((maker) => calls(example, maker.name))
}

const shown = new Map()
for (const item of items.values()) {
  const { name } = item
  if ('function' in item.inner) {
    shown.set(
      name,
      all.some((example) => calls(example, name)),
    )
    continue
  }
  const methods = methodsOf(item)
  const about = [...[item].concat(methods).flatMap(examplesOf), ...all.filter((example) => shows(example, item))]
  shown.set(name, about.length > 0)
  for (const method of methods) {
    if (isGetter(method)) continue
    shown.set(
      `${name}::${method.name}`,
      about.some((example) => calls(example, method.name)),
    )
  }
}

const missing = [...shown].filter(([name, isShown]) => !isShown && !exceptions.has(name)).map(([name]) => name)
const needless = [...exceptions].filter((name) => shown.get(name) !== false)
if (missing.length > 0) console.error(`No example in the documentation shows ${missing.join(', ')}`)
if (needless.length > 0) console.error(`Listed as exceptions, and shown or not there: ${needless.join(', ')}`)
process.exitCode = missing.length + needless.length > 0 ? 1 : 0
