// A registry that has what would be published: the packages in release/, and those of the other platforms, with a library
// where one was built.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { library, root, tarballs, version } from './project.mjs'

/** Packs the package of a platform as it is in the repository. */
function pack(platform) {
  const folder = mkdtempSync(join(tmpdir(), 'platform-'))
  mkdirSync(join(folder, 'package'))
  cpSync(join(root, 'npm', platform, 'package.json'), join(folder, 'package', 'package.json'))
  const library = `memory-map.${platform}.node`
  const built = join(root, 'npm', platform, library)
  writeFileSync(join(folder, 'package', library), existsSync(built) ? readFileSync(built) : '')
  const tarball = join(folder, 'package.tgz')
  execFileSync('tar', ['-czf', tarball, '-C', folder, 'package'])
  return tarball
}

/** Starts it; says its address. It ends with the process. */
export async function startRegistry() {
  const others = readdirSync(join(root, 'npm')).filter((platform) => `memory-map-${platform}` !== library)
  const packages = new Map()
  for (const tarball of [...tarballs, ...others.map(pack)]) {
    const manifest = JSON.parse(execFileSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' }))
    packages.set(manifest.name, { manifest, bytes: readFileSync(tarball) })
  }
  const server = createServer(({ url }, response) => {
    const [name, ...rest] = url.slice(1).split('/')
    const found = packages.get(name)
    if (found === undefined) return response.writeHead(404).end('{}')
    const { manifest, bytes } = found
    if (rest.length > 0) return response.end(bytes)
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`
    const shasum = createHash('sha1').update(bytes).digest('hex')
    const dist = { tarball: `${address()}${name}/-/${name}-${version}.tgz`, integrity, shasum }
    const published = '2026-01-01T00:00:00.000Z' // some managers take nothing of today's
    response.setHeader('content-type', 'application/json').end(
      JSON.stringify({
        name,
        'dist-tags': { latest: version },
        versions: { [version]: { ...manifest, dist } },
        time: { created: published, modified: published, [version]: published },
      }),
    )
  })
  const address = () => `http://127.0.0.1:${server.address().port}/`
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  return address()
}
