// Third-party code in what is published: its notices, and lists of it as CycloneDX.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))

/**
 * @typedef {object} Crate
 * @property {string} name
 * @property {string} version
 * @property {string} license an expression of SPDX
 * @property {string[]} texts its notices
 */

/** The crates that are linked into the library of a target. @returns {Crate[]} */
export function linkedCrates(target) {
  const args = ['metadata', '--format-version', '1', '--locked', '--filter-platform', target]
  const { packages, resolve } = JSON.parse(
    execFileSync('cargo', args, {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  )
  const byId = new Map(packages.map((one) => [one.id, one]))
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]))
  const linked = new Set()
  const visit = (id) => {
    // A macro's crate runs in the compiler, and is not linked.
    if (linked.has(id) || byId.get(id).targets.some(({ kind }) => kind.includes('proc-macro'))) return
    linked.add(id)
    for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) if (kinds.some(({ kind }) => kind === null)) visit(pkg)
  }
  visit(packages.find(({ name }) => name === 'memory-map-node').id)
  return [...linked]
    .map((id) => byId.get(id))
    .filter(({ source }) => source !== null)
    .map(({ name, version, license, manifest_path: manifest }) => {
      const folder = dirname(manifest)
      const all = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice|unlicense)/i.test(file))
      // Of several licenses the one that memory-map itself has.
      const ours = license.includes('MIT') ? all.filter((file) => /mit/i.test(file)) : []
      const names = ours.length > 0 ? ours : all
      return {
        name,
        version,
        license: license.replaceAll('/', ' OR '),
        texts: names.toSorted().map((file) => readFileSync(join(folder, file), 'utf8').trim()),
      }
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** Each text once, under the names of all that have it. */
export function notices(crates) {
  const byText = new Map()
  for (const { name, version, license, texts } of crates) {
    for (const text of texts.length > 0 ? texts : [`Licensed as ${license}; the crate has no text of it.`]) {
      byText.set(text, [...(byText.get(text) ?? []), `${name} ${version} (${license})`])
    }
  }
  const parts = [...byText].map(([text, names]) => `${names.join('\n')}\n\n${text}\n`)
  const head = `The native library of memory-map has code of the following crates in it, and of Rust's standard library, which is
licensed as MIT OR Apache-2.0 (https://www.rust-lang.org/policies/licenses).
`
  return [head, ...parts].join(`\n${'-'.repeat(80)}\n\n`)
}

function component(type, { name, version, license }, kind) {
  const purl = `pkg:${kind}/${name}@${version}`
  return { type, 'bom-ref': purl, name, version, licenses: [{ expression: license }], purl }
}

/** A list of parts, in the form of CycloneDX 1.5. */
export function bill(whole, parts) {
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: component('library', whole, 'npm') },
    components: parts.map((part) => component('library', part, part.kind)),
  }
}
