// Bundles the TypeScript into index.js and sync.js, and into index.cjs and sync.cjs. A file for each module, and imports of
// Node's own modules, which make objects of all that these export, cost several times what loading the native library
// does.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { build } from 'esbuild'

const { version } = JSON.parse(await readFile('package.json', 'utf8'))

/** Resolves imports to the sources, never to earlier output, and takes only those names of Node's modules that are used. */
const sources = {
  name: 'sources',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^\.\.?\/.*\.js$/ }, ({ path, resolveDir }) => {
      if (path.endsWith('/index.js')) return { path: './index.js', external: true }
      return { path: join(resolveDir, path.replace(/js$/, 'ts')) }
    })
    onResolve({ filter: /^node:/ }, ({ path }) => {
      return path === 'node:module' ? { path, external: true } : { path: path.slice('node:'.length), namespace: 'node' }
    })
    onLoad({ filter: /^/, namespace: 'node' }, ({ path }) => {
      const names = Object.keys(process.getBuiltinModule(`node:${path}`)).filter((name) => name !== 'default')
      const exported = names.map((name) => `export const ${name} = /* @__PURE__ */ own('${name}')`)
      const builtin = `globalThis.process.getBuiltinModule('node:${path}')`
      const start = [`const builtin = ${builtin}`, 'const own = (name) => builtin[name]', 'export default builtin']
      return { contents: [...start, ...exported].join('\n') }
    })
  },
}

/** A class that names itself is given another name, which stack traces and `constructor.name` would show. */
const renamed = /^var (?<name>\w+) = class (?<other>_\k<name>)\b/gm

/** Doc comments, which the declarations have: a quarter of what is to be read. */
const comments = /^ *\/\*\*.*?\*\/\n/gms

/** What lib/packages.ts makes its `require` of, in the way that tracers recognise. CommonJS has a `require` already. */
const importOfRequire = /^import module from "node:module";\n/m
const makingRequire = /^ *const (?<name>require\w*) = module\.createRequire\(.*\n/m

const names = (list) =>
  list
    ?.split(',')
    .map((one) => one.trim())
    .filter(Boolean) ?? []

/** The code of an entry point, the names that it exports, and those that it takes from the main module. */
async function bundle(name, format) {
  const { outputFiles } = await build({
    entryPoints: [`${name}.ts`],
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    // In CommonJS there is none.
    define: { 'import.meta.url': format === 'cjs' ? '"file:///"' : 'url' },
    plugins: [sources],
    logLevel: 'warning',
    write: false,
  })
  let code = outputFiles[0].text.replace(comments, '')
  for (const { groups } of code.matchAll(renamed)) {
    code = code.replaceAll(new RegExp(`\\b${groups.other}\\b`, 'g'), groups.name)
  }
  const requires = importOfRequire.test(code)
  code = code.replace(importOfRequire, '')
  if (format === 'cjs' && requires) {
    const { name: made } = code.match(makingRequire).groups
    code = code.replace(makingRequire, '').replaceAll(`${made}(`, 'require(')
  }
  const missed = /^import .* from "node:.*/m.exec(code)
  if (missed) throw new Error(`${name}: ${missed[0]}`)
  const exported = /^export \{(?<list>[^}]*)\};\n/m
  const imported = /^import \{(?<list>[^}]*)\} from "\.\/index\.js";\n/m
  return {
    requires,
    exports: names(code.match(exported)?.groups.list),
    imports: names(code.match(imported)?.groups.list),
    code: code.replace(exported, '').replace(imported, ''),
  }
}

/**
 * The code as a function that is called once for each global object, however many copies of the package are loaded. So
 * `import` and `require` give the same classes, and so do a bundle and a package that it uses. It is called where it
 * stands, for V8 compiles such a function with its file, and any other a second time.
 */
function once(name, { code, exports }) {
  return `const key = Symbol.for('memory-map@${version}/${name}')
// Not a test's own \`process\`, but the one of this thread.
const holder = process.getBuiltinModule('node:process')
if (holder[key] === undefined) Object.defineProperty(holder, key, { value: new WeakMap() })
if (!holder[key].has(globalThis)) holder[key].set(globalThis, (function evaluate() {
${code}
return { ${exports.join(', ')} }
})())
const found = holder[key].get(globalThis)
`
}

for (const name of ['index', 'sync']) {
  const esm = await bundle(name, 'esm')
  const importing = esm.requires ? `import module from 'node:module'\n` : ''
  const importingMain = esm.imports.length > 0 ? `import { ${esm.imports.join(', ')} } from './index.js'\n` : ''
  await writeFile(
    `${name}.js`,
    `${importing}${importingMain}const url = import.meta.url\n${once(name, esm)}\nexport const { ${esm.exports.join(', ')} } = found\n`,
  )
  const cjs = await bundle(name, 'cjs')
  const requiring = cjs.imports.length > 0 ? `const { ${cjs.imports.join(', ')} } = require('./index.cjs')\n` : ''
  const own = cjs.exports.join(', ')
  await writeFile(
    `${name}.cjs`,
    `'use strict'\n${requiring}${once(name, cjs)}\nconst { ${own} } = found\nmodule.exports = { ${own} }\n`,
  )
}
