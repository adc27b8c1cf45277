// build.mjs: compiles the module that the tests parse files with, which is committed as csv.wasm. It needs the target:
// `rustup target add wasm32-unknown-unknown`.
//
// A section of the module has the hash of the sources, by which a test finds that it is not theirs any more.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = new URL('csv/', import.meta.url)
const target = 'wasm32-unknown-unknown'

/** The module that is committed. */
export const path = fileURLToPath(new URL('csv.wasm', import.meta.url))

/** The name of the section. */
export const SECTION = 'sources'

/** The hash of what the module is compiled from. */
export function hashOfSources() {
  const hash = createHash('sha256')
  for (const file of ['Cargo.toml', 'Cargo.lock', 'src/lib.rs']) hash.update(readFileSync(new URL(file, folder)))
  return hash.digest()
}

/** A custom section of a module: its id, the length of the rest, and a name before the contents. */
function section(name, contents) {
  const rest = Buffer.concat([Buffer.of(name.length), Buffer.from(name), contents])
  return Buffer.concat([Buffer.of(0, rest.length), rest]) // LEB128: one byte is enough below 128
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const built = process.argv[2] ?? `${fileURLToPath(folder)}target/${target}/release/csv_in_place.wasm`
  if (process.argv[2] === undefined) {
    const args = ['build', '--release', '--locked', '--target', target]
    execFileSync('cargo', args, { cwd: folder, stdio: 'inherit' })
  }
  writeFileSync(path, Buffer.concat([readFileSync(built), section(SECTION, hashOfSources())]))
}
