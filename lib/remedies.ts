// What to do about system errors whose message does not say it.

import { FLAGS, type Kind, type Parsed, type Protection, PROTECTIONS } from './options.js'

/** What to do about the error code of a call that makes a mapping; empty if the code says it all. */
export function remedyFor(kind: Kind, options: Parsed, code: string, syscall: string): string {
  switch (code) {
    case 'EMFILE':
      return 'each mapping of a file keeps a descriptor until `close()`: close mappings, use `keepOpen: false`, or raise the limit (`ulimit -n`)'
    case 'ENOENT':
      return syscall === 'shm_open' ? 'there is no memory of this name; `create: true`, with a `length`, makes it' : ''
    case 'ENOMEM':
      return kind === 'anonymous' && (options.flags & FLAGS.noReserve) === 0
        ? '`reserve: false` maps more than the system could deliver at once'
        : ''
    case 'EPERM':
      return PROTECTIONS[options.protection]!.includes('execute')
        ? 'the file system is mounted with noexec, or a policy forbids pages that can be executed'
        : ''
    default:
      return ''
  }
}

/** What to do about the error code of a call to an existing mapping. */
export function remedyOf(protection: Protection, code: string): string {
  const isReadOnly = code === 'ERR_MMAP_BEYOND_END' && !protection.includes('write')
  return isReadOnly ? `The mapping has the protection '${protection}', which cannot extend a file. ` : ''
}
