// The error for every misuse and every refusal of the system. (Long: a case for each of them.)

import { spawnSync } from 'node:child_process'
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { runInNewContext } from 'node:vm'

import test from 'ava'
import * as library from 'memory-map'
import { mapAnonymous, mapPrivate, mapShared, MemoryMap, pageSize } from 'memory-map'
import { Broadcast, Channel, Semaphore } from 'memory-map/sync'

import { isSystemError, throwsCodedError, throwsSystemError } from './helpers/errors.ts'
import { mountFileSystem } from './helpers/mounts.ts'
import { isWindows, onPosix } from './helpers/platform.ts'
import { scriptEnv } from './helpers/processes.ts'
import { runScript, runtimes, underLimit } from './helpers/runtimes.ts'
import { pattern, scratchFile, scratchFolder } from './helpers/scratch.ts'

const host = runtimes()[0]!
const contents = pattern(3 * pageSize + 100)

/** The functions as JavaScript sees them: with arguments of any type. */
const {
  mapShared: anyShared,
  mapPrivate: anyPrivate,
  mapAnonymous: anyAnonymous,
} = library as unknown as Record<'mapShared' | 'mapPrivate' | 'mapAnonymous', (...args: unknown[]) => MemoryMap>
type AnyMap = Record<
  'view' | 'typedArray' | 'dataView' | 'read' | 'write' | 'protect' | 'indexOf' | 'count' | 'find',
  (...args: unknown[]) => unknown
>

const fileMakers = [
  ['shared', mapShared],
  ['private', mapPrivate],
] as const

const invalidType = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
const invalidValue = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE' }
const outOfRange = { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' }

// What the system refuses

for (const [kind, map] of fileMakers) {
  test(`a path that cannot be opened is the same error as of fs.openSync, for a ${kind} mapping`, (t) => {
    const folder = scratchFolder(t)
    const file = join(folder, 'file')
    writeFileSync(file, contents)
    // Windows has symbolic links for administrators.
    if (!isWindows) symlinkSync('loop', join(folder, 'loop'))
    const loop = isWindows ? [] : ([[join(folder, 'loop'), 'ELOOP']] as const)
    for (const [path, code] of [
      [join(folder, 'missing'), 'ENOENT'],
      [join(folder, 'missing', 'folder'), 'ENOENT'],
      ['', 'ENOENT'],
      [join(file, 'not a folder'), isWindows ? 'ENOENT' : 'ENOTDIR'],
      ...loop,
      [join(folder, 'x'.repeat(5000)), isWindows ? 'ENOENT' : 'ENAMETOOLONG'],
    ] as const) {
      const expected = t.throws(() => openSync(path, 'r'))
      isSystemError(t, expected, { code, syscall: 'open', path })
      const error = throwsSystemError(t, () => map(path), { code, syscall: 'open', path })
      t.is(error.message, expected!.message)
    }
  })

  test(`an error has the path as text, and the system call that failed, for a ${kind} mapping`, (t) => {
    const path = join(scratchFolder(t), 'missing ä')
    for (const given of [path, Buffer.from(path), pathToFileURL(path)]) {
      const error = throwsSystemError(t, () => map(given), { code: 'ENOENT', syscall: 'open', path })
      t.regex(error.stack!, /errors\.spec/)
    }
  })

  test(`a directory is EISDIR, and the message asks for a file, for a ${kind} mapping`, async (t) => {
    const path = scratchFolder(t)
    for (const given of [path, `${path}/`, '.', Buffer.from(path), pathToFileURL(path)]) {
      const shown = given instanceof URL ? path : given.toString()
      for (const options of [{}, { protection: 'read-write' as const }, { length: 0 }]) {
        const expected = { code: 'EISDIR', syscall: 'open', path: shown } as const
        t.regex(throwsSystemError(t, () => map(given, options), expected).message, /directory; .*file/)
      }
    }
    const fd = openSync(path, 'r')
    t.teardown(() => closeSync(fd))
    const byFd = t.throws(() => map(fd), { code: 'EISDIR' })!
    isSystemError(t, byFd, { code: 'EISDIR', syscall: 'open' })
    t.regex(byFd.message, /directory; .*file/)
    const handle = await open(path, 'r')
    t.teardown(() => handle.close())
    throwsSystemError(t, () => map(handle), { code: 'EISDIR', syscall: 'open' })
  })

  // Serial, because a file that another test opens would get the number.
  test.serial(`a descriptor that is not open is EBADF, for a ${kind} mapping`, async (t) => {
    const path = scratchFile(t, contents)
    const expected = { code: 'EBADF', syscall: 'fcntl' } as const
    throwsSystemError(t, () => map(1_000_000), expected)
    throwsSystemError(t, () => map(2 ** 31 - 1), expected)
    const fd = openSync(path, 'r')
    closeSync(fd)
    throwsSystemError(t, () => map(fd), expected)
    throwsSystemError(t, () => map({ fd }), expected)

    const handle = await open(path, 'r')
    await handle.close()
    t.is(handle.fd, -1)
    throwsSystemError(t, () => map(handle), expected)
  })
}

test('create in a missing folder is ENOENT', (t) => {
  const path = join(scratchFolder(t), 'missing', 'file')
  const options = { create: true, protection: 'read-write', length: 10 } as const
  throwsSystemError(t, () => mapShared(path, options), { code: 'ENOENT', syscall: 'open', path })
})

for (const runtime of runtimes()) {
  test(`classes have the names by which they are exported, on ${runtime.name} ${runtime.version}`, async (t) => {
    const { stdout } = await runScript(
      runtime,
      `const root = process.env.MEMORY_MAP_ROOT
      const all = { ...(await import(root + 'index.js')), ...(await import(root + 'sync.js')) }
      const functions = Object.entries(all).filter(([, made]) => typeof made === 'function')
      console.log(JSON.stringify(functions.map(([name, made]) => [name, made.name])))`,
    )
    const names = JSON.parse(stdout) as [string, string][]
    t.true(names.length > 10)
    for (const [exported, name] of names) t.is(name, exported)
  })
}

test('a descriptor that was not opened for the protection is EACCES', (t) => {
  const path = scratchFile(t, contents)
  const readOnly = openSync(path, 'r')
  const writeOnly = openSync(path, 'a')
  t.teardown(() => [readOnly, writeOnly].forEach(closeSync))
  const expected = { code: 'EACCES', syscall: 'mmap' } as const
  for (const run of [
    () => mapShared(readOnly, { protection: 'read-write' }),
    () => mapShared(readOnly, { protection: 'read-write-execute' }),
    () => mapShared(writeOnly),
    () => mapShared(writeOnly, { protection: 'read-write' }),
    () => mapPrivate(writeOnly),
  ]) {
    t.regex(throwsSystemError(t, run, expected).message, /open/)
  }
})

const ACCESS_SCRIPT = `
const { mapShared, mapPrivate } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
const [folder] = process.argv.slice(2)
if (process.getuid() === 0) {
  process.setgroups([])
  process.setgid(65534)
  process.setuid(65534)
}
const write = { protection: 'read-write' }
const attempts = [
  () => mapShared(folder + '/secret'),
  () => mapPrivate(folder + '/secret'),
  () => mapShared(folder + '/readable', write),
  () => mapShared(folder + '/closed/file'),
  () => mapShared(folder + '/new', { ...write, create: true, length: 10 }),
]
for (const attempt of attempts) {
  try {
    attempt().close()
    console.log('no error')
  } catch ({ name, message, ...facts }) {
    console.log(JSON.stringify({ name, message, ...facts }))
  }
}
console.log(mapShared(folder + '/readable').length, mapPrivate(folder + '/readable', write).length)
`

onPosix('a file that this user may not open is EACCES', async (t) => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, 'secret'), contents)
  chmodSync(join(folder, 'secret'), 0)
  writeFileSync(join(folder, 'readable'), contents)
  chmodSync(join(folder, 'readable'), 0o444)
  mkdirSync(join(folder, 'closed'))
  writeFileSync(join(folder, 'closed', 'file'), contents)
  chmodSync(join(folder, 'closed'), 0)
  chmodSync(folder, 0o555)
  t.teardown(() => {
    chmodSync(folder, 0o700)
    chmodSync(join(folder, 'closed'), 0o700)
  })
  const { code, signal, stdout, stderr } = await runScript(host, ACCESS_SCRIPT, { args: [folder] })
  t.deepEqual([code, signal], [0, null], stderr)
  const names = ['secret', 'secret', 'readable', 'closed/file', 'new']
  const lines = stdout.trimEnd().split('\n')
  t.is(lines.pop(), `${contents.length} ${contents.length}`)
  t.deepEqual(
    lines.map((line) => JSON.parse(line) as unknown),
    names.map((name) => {
      const path = join(folder, name)
      const message = `EACCES: permission denied, open '${path}'`
      return { name: 'Error', message, errno: -13, code: 'EACCES', syscall: 'open', path }
    }),
  )
})

const DESCRIPTORS_SCRIPT = `
import fs from 'node:fs'
const { mapShared, mapPrivate, mapAnonymous } = await import(process.env.MEMORY_MAP_ROOT + 'index.js')
fs.writeFileSync('file', 'contents')
const mine = fs.openSync('file')
const opened = []
try {
  for (;;) opened.push(fs.openSync('file'))
} catch (error) {
  console.log('open', error.code)
}
for (const make of [
  () => mapShared('file'),
  () => mapPrivate(mine),
  () => mapAnonymous(10, { shared: true }),
]) {
  try {
    make()
    console.log('no error')
  } catch ({ name, errno, code, syscall, path }) {
    console.log(name, errno, code, syscall, path)
  }
}
console.log(mapAnonymous(10).length)
for (const fd of opened) fs.closeSync(fd)
console.log(mapShared('file').length, mapPrivate(mine).length, mapAnonymous(10, { shared: true }).length)
`

onPosix('a process without descriptors gets EMFILE, and goes on', async (t) => {
  const { code, signal, stdout, stderr } = await runScript(underLimit(host, '-n 64'), DESCRIPTORS_SCRIPT)
  t.deepEqual(stdout.trimEnd().split('\n'), [
    'open EMFILE',
    'Error -24 EMFILE open file',
    'Error -24 EMFILE fcntl undefined',
    'Error -24 EMFILE memfd_create undefined',
    '10',
    '8 8 10',
  ])
  t.deepEqual([code, signal], [0, null], stderr)
})

test('more memory than there are addresses is ENOMEM', (t) => {
  const expected = { code: 'ENOMEM', syscall: 'mmap' } as const
  for (const length of [2 ** 50, 2n ** 50n, Number.MAX_SAFE_INTEGER]) {
    throwsSystemError(t, () => mapAnonymous(length), expected)
    throwsSystemError(t, () => mapAnonymous(length, { reserve: false }), expected)
    if (!isWindows) throwsSystemError(t, () => mapAnonymous(length, { shared: true }), expected)
  }
})

onPosix('a length that no file can have is EFBIG, and the file stays as it was', (t) => {
  const path = scratchFile(t, contents)
  const options = { create: true, protection: 'read-write', length: Number.MAX_SAFE_INTEGER } as const
  throwsSystemError(t, () => mapShared(path, options), { code: 'EFBIG', syscall: 'fallocate', path })
  t.deepEqual(readFileSync(path), contents)
})

test('allocate without enough space is ENOSPC, and does not change the length of the file', (t) => {
  const folder = mountFileSystem(t, 'tmpfs')?.folder
  if (folder === undefined) return
  const path = join(folder, 'file')
  writeFileSync(path, contents)
  const options = { create: true, protection: 'read-write', allocate: true, length: 128 << 20 } as const
  throwsSystemError(t, () => mapShared(path, options), { code: 'ENOSPC', syscall: 'fallocate', path })
  t.is(statSync(path).size, contents.length)
  t.deepEqual(readFileSync(path), contents)
  using sparse = mapShared(path, { ...options, allocate: false })
  t.is(sparse.length, 128 << 20, 'without it there is room as long as nothing is stored')
})

// Past the end of the file

test('a mapping past the end of the file is ERR_MMAP_BEYOND_END', (t) => {
  const path = scratchFile(t, contents)
  const empty = scratchFile(t, '')
  const size = contents.length
  const fd = openSync(path, 'r')
  t.teardown(() => closeSync(fd))
  for (const [, map] of fileMakers) {
    for (const [options, end] of [
      [{ length: size + 1 }, size + 1],
      [{ length: BigInt(size) + 1n }, size + 1],
      [{ offset: size + 1 }, size + 1],
      [{ offset: BigInt(size) + 1n, length: 0 }, size + 1],
      [{ offset: 1, length: size }, size + 1],
      [{ offset: 100n * BigInt(size) }, 100 * size],
      [{ length: 2 ** 50 }, 2 ** 50],
      [{ length: Number.MAX_SAFE_INTEGER }, Number.MAX_SAFE_INTEGER],
    ] as const) {
      const expected = { instanceOf: RangeError, code: 'ERR_MMAP_BEYOND_END', says: [`${end}`, `${size}`] }
      throwsCodedError(t, () => map(path, options), { ...expected, says: [...expected.says, path] })
      throwsCodedError(t, () => map(fd, options), expected)
      throwsCodedError(t, () => map({ fd }, options), expected)
    }
    throwsCodedError(t, () => map(empty, { length: 1 }), { instanceOf: RangeError, code: 'ERR_MMAP_BEYOND_END' })
    throwsCodedError(t, () => map(empty, { offset: 1 }), { instanceOf: RangeError, code: 'ERR_MMAP_BEYOND_END' })
  }
})

// Arguments

const notFiles: unknown[] = [
  undefined,
  null,
  true,
  {},
  [],
  Symbol('x'),
  3n,
  () => {},
  new Date(),
  { fd: '3' },
  { path: '/' },
]

test('a value that is not a file is ERR_INVALID_ARG_TYPE', (t) => {
  for (const map of [anyShared, anyPrivate]) {
    for (const value of notFiles)
      throwsCodedError(t, () => map(value), { ...invalidType, says: ['"file"', 'Received '] })
    for (const value of [{ fd: NaN }, { fd: 2 ** 40 }, { fd: 1.5 }, { fd: -2 }]) {
      const error = t.throws(() => map(value)) as NodeJS.ErrnoException
      t.true(['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE'].includes(error.code!), error.message)
    }
  }
})

test('a number that cannot be a descriptor is ERR_OUT_OF_RANGE', (t) => {
  for (const map of [anyShared, anyPrivate]) {
    for (const value of [-1, NaN, 1.5, Infinity, -Infinity, 2 ** 31, 2 ** 53]) {
      throwsCodedError(t, () => map(value), { ...outOfRange, says: ['"file"', `${value}`] })
    }
  }
})

test('a path with a null byte is ERR_INVALID_ARG_VALUE, in a string, a Buffer or a URL', (t) => {
  const folder = scratchFolder(t)
  for (const map of [anyShared, anyPrivate]) {
    for (const path of [`${folder}/a\0b`, Buffer.from(`${folder}/a\0b`), new URL(`file://${folder}/a%00b`)]) {
      throwsCodedError(t, () => map(path), { ...invalidValue, says: ['"file"', 'null byte'] })
    }
  }
})

onPosix('a URL that is not of a file is refused with the error of fs', (t) => {
  for (const url of ['https://example.com/file', 'file://host/file', 'file:///a%2Fb', 'data:,x'].map(
    (u) => new URL(u),
  )) {
    const expected = t.throws(() => openSync(url, 'r')) as NodeJS.ErrnoException
    for (const map of [mapShared, mapPrivate]) {
      const error = t.throws(() => map(url), { instanceOf: TypeError }) as NodeJS.ErrnoException
      t.is(error.code, expected.code)
    }
  }
})

test('options that are not an object are ERR_INVALID_ARG_TYPE', (t) => {
  const path = scratchFile(t, contents)
  for (const value of [null, 5, 'read', true, 1n, Symbol('x'), () => {}, [], [{ length: 1 }]]) {
    for (const map of [() => anyShared(path, value), () => anyPrivate(path, value), () => anyAnonymous(10, value)]) {
      throwsCodedError(t, map, { ...invalidType, says: ['"options"', 'object'] })
    }
  }
})

/** What is no count of bytes, by the error that it is. */
const notNumbers: unknown[] = [null, '10', '', true, {}, [], Symbol('x'), () => 1, new Number(5), NaN.toString()]
const notBytes: (number | bigint)[] = [
  NaN,
  Infinity,
  -Infinity,
  -1,
  0.5,
  -0.5,
  2 ** 53,
  2 ** 63,
  Number.MAX_VALUE,
  -1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n,
  2n ** 64n + 5n,
  -(2n ** 63n),
]

test('a length of an anonymous mapping that is not a number of bytes is refused', (t) => {
  for (const value of [undefined, ...notNumbers]) {
    throwsCodedError(t, () => anyAnonymous(value), { ...invalidType, says: ['"length"', 'number or bigint'] })
  }
  for (const value of notBytes)
    throwsCodedError(t, () => anyAnonymous(value), { ...outOfRange, says: ['"length"', `${value}`] })
})

for (const name of ['offset', 'length'] as const) {
  test(`an option ${name} that is not a number of bytes is refused`, (t) => {
    const path = scratchFile(t, contents)
    for (const map of [anyShared, anyPrivate]) {
      for (const value of notNumbers) {
        throwsCodedError(t, () => map(path, { [name]: value }), {
          ...invalidType,
          says: [`"options.${name}"`, 'number or bigint', 'Received '],
        })
      }
      for (const value of notBytes) {
        throwsCodedError(t, () => map(path, { [name]: value }), {
          ...outOfRange,
          says: [`"options.${name}"`, `${value}`],
        })
      }
    }
  })
}

const byKind = {
  shared: (options: object) => anyShared('.', options),
  private: (options: object) => anyPrivate('.', options),
  anonymous: (options: object) => anyAnonymous(10, options),
}
type Kind = keyof typeof byKind
const every: Kind[] = ['shared', 'private', 'anonymous']

const booleans: [name: string, kinds: Kind[]][] = [
  ['populate', every],
  ['reserve', every],
  ['guard', every],
  ['create', ['shared']],
  ['allocate', ['shared']],
  ['shared', ['anonymous']],
]

for (const [name, kinds] of booleans) {
  test(`an option ${name} that is not a boolean is refused`, (t) => {
    for (const kind of kinds) {
      for (const value of [null, 0, 1, '', 'true', {}, 1n, Symbol('x')]) {
        const says = [`"options.${name}"`, 'boolean']
        throwsCodedError(t, () => byKind[kind]({ protection: 'read-write', [name]: value }), { ...invalidType, says })
      }
    }
  })
}

test('a protection that is not one of the five is refused', (t) => {
  for (const kind of every) {
    for (const value of [null, 0, 3, true, {}, ['read'], Symbol('x')]) {
      throwsCodedError(t, () => byKind[kind]({ protection: value }), {
        ...invalidType,
        says: ['"options.protection"', "'read-write'"],
      })
    }
    for (const value of ['', 'banana', 'PROT_READ', 'constructor', '0']) {
      const says = ['"options.protection"', value]
      for (const one of ['none', 'read', 'read-write', 'read-execute', 'read-write-execute']) says.push(`'${one}'`)
      throwsCodedError(t, () => byKind[kind]({ protection: value }), { ...invalidValue, says })
    }
  }
})

test('a mode that is not a set of permissions is refused', (t) => {
  for (const value of [null, '', '0o644', '0689', 'rw', 0o644n, true, {}]) {
    throwsCodedError(t, () => byKind.shared({ mode: value }), { ...invalidType, says: ['"options.mode"'] })
  }
  for (const value of [NaN, -1, 0.5, 0o10000, Infinity, '10000']) {
    throwsCodedError(t, () => byKind.shared({ mode: value }), { ...outOfRange, says: ['"options.mode"', `${value}`] })
  }
})

test('a value that is not an address is refused as one', (t) => {
  for (const kind of every) {
    for (const value of [null, 4096, '0x1000', true, {}]) {
      throwsCodedError(t, () => byKind[kind]({ address: value }), {
        ...invalidType,
        says: ['"options.address"', 'bigint'],
      })
    }
    for (const value of [-1n, 2n ** 64n]) {
      throwsCodedError(t, () => byKind[kind]({ address: value }), {
        ...outOfRange,
        says: ['"options.address"', `${value}`],
      })
    }
  }
})

test('an onFault that is not a function is refused', (t) => {
  for (const kind of every) {
    for (const value of [null, {}, 'warn', true]) {
      throwsCodedError(t, () => byKind[kind]({ onFault: value }), {
        ...invalidType,
        says: ['"options.onFault"', 'function'],
      })
    }
  }
})

test('an unknown backing is refused', (t) => {
  for (const kind of every) {
    for (const value of [null, 5, {}, true]) {
      throwsCodedError(t, () => byKind[kind]({ backing: value }), { ...invalidType, says: ['"options.backing"'] })
    }
    for (const value of ['', 'buffer', 'heap']) {
      const says = ['"options.backing"', "'array-buffer'"]
      throwsCodedError(t, () => byKind[kind]({ backing: value }), { ...invalidValue, says })
    }
  }
})

test('create and allocate without a protection that can write are refused', (t) => {
  const path = join(scratchFolder(t), 'new')
  for (const name of ['create', 'allocate']) {
    for (const protection of [undefined, 'none', 'read', 'read-execute']) {
      const says = [`"options.${name}"`, "'read-write'"]
      throwsCodedError(t, () => anyShared(path, { [name]: true, protection, length: 10 }), { ...invalidValue, says })
    }
  }
  t.throws(() => statSync(path), { code: 'ENOENT' })
})

// Spelling

test('the error for an unknown option names it, and lists the known ones', (t) => {
  for (const kind of every) {
    for (const name of ['readOnly', 'banana', 'toString', '__proto', '0', 'x'.repeat(100)]) {
      throwsCodedError(t, () => byKind[kind]({ [name]: undefined }), {
        ...invalidValue,
        says: [`"${name}"`, "'protection'", "'populate'", "'guard'"],
      })
    }
  }
})

test('an option of another kind of mapping is refused', (t) => {
  for (const [kind, names] of [
    ['shared', ['shared', 'hugePages']],
    ['private', ['create', 'mode', 'allocate', 'shared']],
    ['anonymous', ['offset', 'length', 'create', 'mode']],
  ] as const) {
    for (const name of names) {
      throwsCodedError(t, () => byKind[kind]({ [name]: undefined }), { ...invalidValue, says: [`"${name}"`] })
    }
  }
})

test('the error for a misspelt option suggests the right name', (t) => {
  for (const [kinds, right, spellings] of [
    [every, 'protection', ['protect', 'Protection', 'proctection', 'protections', 'protecton', 'PROTECTION']],
    [every, 'populate', ['Populate', 'populated', 'populat', 'poplulate']],
    [every, 'reserve', ['reserved', 'resreve', 'reverse', 'RESERVE']],
    [every, 'address', ['adress', 'addr', 'Address']],
    [every, 'backing', ['backings', 'baking', 'back-ing']],
    [every, 'guard', ['gaurd', 'guarded', 'guards']],
    [every, 'onFault', ['onfault', 'on-fault', 'on_fault', 'onFaults', 'OnFault']],
    [['shared', 'private'], 'offset', ['ofset', 'off', 'Offset', 'offsett', 'off_set']],
    [['shared', 'private'], 'length', ['lenght', 'len', 'Length', 'lengths', 'legnth']],
    [['shared'], 'create', ['creat', 'created', 'Create']],
    [['shared'], 'mode', ['mod', 'Mode', 'modes']],
    [['shared'], 'allocate', ['alocate', 'allocated', 'allocat']],
    [['anonymous'], 'shared', ['share', 'Shared', 'sharde']],
  ] as [Kind[], string, string[]][]) {
    for (const kind of kinds) {
      for (const spelling of spellings) {
        const says = [`"${spelling}"`, `did you mean '${right}'?`]
        throwsCodedError(t, () => byKind[kind]({ [spelling]: 1 }), { ...invalidValue, says })
      }
    }
  }
})

test('the error for a misspelt value suggests the right one', (t) => {
  for (const [right, spellings] of [
    ['none', ['None', 'non', 'nonne']],
    ['read', ['reed', 'READ', 'rea', 'r ead']],
    ['read-write', ['readwrite', 'readWrite', 'read_write', 'read write', 'READ-WRITE', 'read-writ', 'read/write']],
    ['read-execute', ['readexecute', 'readExecute', 'read_execute', 'read-exec', 'read-excute']],
    ['read-write-execute', ['readWriteExecute', 'read-write-exec', 'read_write_execute', 'readwriteexecute']],
  ] as const) {
    for (const spelling of spellings) {
      const says = [spelling, `did you mean '${right}'? Received`]
      for (const kind of every) {
        throwsCodedError(t, () => byKind[kind]({ protection: spelling }), { ...invalidValue, says })
      }
      using map = mapAnonymous(10)
      throwsCodedError(t, () => (map as unknown as AnyMap).protect(spelling), { ...invalidValue, says })
    }
  }
  for (const spelling of ['arraybuffer', 'ArrayBuffer', 'array_buffer', 'arrayBuffer']) {
    const says = [spelling, "did you mean 'array-buffer'?"]
    throwsCodedError(t, () => byKind.shared({ backing: spelling }), { ...invalidValue, says })
  }
})

test('no correction is suggested for a value of a million characters', (t) => {
  const { message } = throwsCodedError(t, () => byKind.shared({ protection: `read${'-'.repeat(1e6)}` }), invalidValue)
  t.false(message.includes('did you mean'))
})

// Methods

/** A mapping of 100 bytes whose methods take anything. */
function anyMap(): AnyMap {
  return mapAnonymous(100) as unknown as AnyMap
}

for (const [method, at, length] of [
  ['view', 'offset', 'length'],
  ['read', 'offset', 'length'],
  ['dataView', 'byteOffset', 'byteLength'],
] as const) {
  test(`wrong arguments of ${method} are refused, and the error names them`, (t) => {
    const map = anyMap()
    for (const value of notNumbers) {
      throwsCodedError(t, () => map[method](value), { ...invalidType, says: [`"${at}"`, 'number or bigint'] })
      throwsCodedError(t, () => map[method](0, value), { ...invalidType, says: [`"${length}"`, 'number or bigint'] })
    }
    for (const value of [...notBytes, 101, 101n, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
      throwsCodedError(t, () => map[method](value), { ...outOfRange, says: [`"${at}"`, `${value}`] })
      throwsCodedError(t, () => map[method](0, value), { ...outOfRange, says: [`"${length}"`, `${value}`] })
    }
    throwsCodedError(t, () => map[method](60, 41), { ...outOfRange, says: [`"${length}"`, '41', '40'] })
    throwsCodedError(t, () => map[method](100n, 1n), { ...outOfRange, says: [`"${length}"`] })
  })
}

test('wrong arguments of typedArray are refused, and the error names them', (t) => {
  const map = anyMap()
  for (const value of [
    undefined,
    null,
    'Float64Array',
    {},
    DataView,
    ArrayBuffer,
    Array,
    () => {},
    Float64Array.prototype,
  ]) {
    throwsCodedError(t, () => map.typedArray(value), { ...invalidType, says: ['"constructor"'] })
  }
  for (const value of notNumbers) {
    throwsCodedError(t, () => map.typedArray(Int32Array, value), { ...invalidType, says: ['"byteOffset"'] })
    throwsCodedError(t, () => map.typedArray(Int32Array, 0, value), { ...invalidType, says: ['"length"'] })
  }
  for (const value of [...notBytes, 104, 104n, 2 ** 40]) {
    throwsCodedError(t, () => map.typedArray(Int32Array, value), { ...outOfRange, says: ['"byteOffset"', `${value}`] })
    throwsCodedError(t, () => map.typedArray(Int32Array, 0, value), {
      ...outOfRange,
      says: ['"length"', `Received ${typeof value} ${value}`],
    })
  }

  // 25 elements fit: the error counts in elements, as the caller did.
  throwsCodedError(t, () => map.typedArray(Int32Array, 0, 26), { ...outOfRange, says: ['"length"', '26', '25'] })
})

test('wrong arguments of write are refused, and the error names them', (t) => {
  const map = anyMap()
  for (const value of [undefined, null, 'text', 5, [1, 2], {}, new ArrayBuffer(4)]) {
    throwsCodedError(t, () => map.write(value), { ...invalidType, says: ['"data"', 'Uint8Array'] })
  }
  const byte = Uint8Array.of(1)
  for (const value of notNumbers)
    throwsCodedError(t, () => map.write(byte, value), { ...invalidType, says: ['"offset"'] })
  for (const value of [...notBytes, 101, 101n, 2 ** 40]) {
    throwsCodedError(t, () => map.write(byte, value), { ...outOfRange, says: ['"offset"', `${value}`] })
  }

  // There is no argument "length" here, so the error names the data.
  throwsCodedError(t, () => map.write(new Uint8Array(101)), { ...outOfRange, says: ['"data"', '101', '100'] })
  throwsCodedError(t, () => map.write(byte, 100), { ...outOfRange, says: ['"data"'] })
})

test('an object that only pretends to be bytes is refused, and the error names the argument', async (t) => {
  const map = anyMap()
  for (const value of [Object.create(Uint8Array.prototype) as unknown, new Proxy(Buffer.from('a'), {})]) {
    throwsCodedError(t, () => map.write(value), { ...invalidType, says: ['"data"', 'Uint8Array'] })
    const says = ['"value"', 'Uint8Array']
    throwsCodedError(t, () => map.indexOf(value), { ...invalidType, says })
    throwsCodedError(t, () => map.count(value), { ...invalidType, says })
    await t.throwsAsync(map.find(value) as Promise<number>, { code: 'ERR_INVALID_ARG_TYPE' })
    throwsCodedError(t, () => library.mapShared(value as Buffer), { ...invalidType, says: ['"file"'] })
  }
})

test('bytes of another realm, and of a class with another species, are written and searched for', (t) => {
  const foreign = runInNewContext('Uint8Array.of(97, 0, 98)') as Uint8Array
  class Odd extends Uint8Array {
    static get [Symbol.species]() {
      return Float64Array as unknown as Uint8ArrayConstructor
    }
  }
  for (const bytes of [foreign, Odd.of(97, 0, 98)]) {
    using target = mapAnonymous(10)
    t.is(target.write(bytes, 2), 3)
    t.is(target.indexOf(bytes), 2)
    t.is(target.indexOf(bytes, 0, 'utf16le'), 2)
    t.is(target.count(bytes, {}, 'utf16le'), 1)
  }
})

test('typedArray takes the constructor of another realm', (t) => {
  const Foreign = runInNewContext('Float64Array') as Float64ArrayConstructor
  using map = mapAnonymous(16)
  map.dataView().setFloat64(8, 1.5, true)
  t.is((map.typedArray(Foreign, 8) as Float64Array)[0], 1.5)
})

test('typedArray refuses a function that only pretends to be the constructor of a typed array', (t) => {
  using map = mapAnonymous(16)
  const pretender = Object.assign(function () {}, { BYTES_PER_ELEMENT: 8 })
  throwsCodedError(t, () => map.typedArray(pretender as never), { ...invalidType, says: ['"constructor"'] })
})

test('typedArray throws if the constructor closes the mapping while it is read', (t) => {
  for (const backing of ['array-buffer', 'shared-array-buffer'] as const) {
    const map = mapAnonymous(100, { backing })
    class Closing extends Uint8Array {
      static override get BYTES_PER_ELEMENT() {
        map.close()
        return 1 as const
      }
    }
    t.throws(() => map.typedArray(Closing), { code: 'ERR_MMAP_CLOSED' })
  }
})

test('wrong arguments of protect are refused, and the error names them', (t) => {
  const map = anyMap()
  for (const value of [undefined, null, 3, {}, Symbol('x')]) {
    throwsCodedError(t, () => map.protect(value), { ...invalidType, says: ['"protection"', "'read-write'"] })
  }
  throwsCodedError(t, () => map.protect('banana'), { ...invalidValue, says: ['"protection"', "'read-write'"] })
  for (const value of [null, 5, 'all', []]) {
    throwsCodedError(t, () => map.protect('read', value), { ...invalidType, says: ['"range"', 'object'] })
  }
  throwsCodedError(t, () => map.protect('read', { ofset: 0 }), {
    ...invalidValue,
    says: ['"ofset"', "did you mean 'offset'?"],
  })
  for (const value of notNumbers) {
    throwsCodedError(t, () => map.protect('read', { offset: value }), { ...invalidType, says: ['offset"'] })
    throwsCodedError(t, () => map.protect('read', { length: value }), { ...invalidType, says: ['length"'] })
  }
  for (const value of [...notBytes, 101n]) {
    throwsCodedError(t, () => map.protect('read', { offset: value }), { ...outOfRange, says: ['offset"', `${value}`] })
    throwsCodedError(t, () => map.protect('read', { length: value }), { ...outOfRange, says: ['length"', `${value}`] })
  }
})

test('a method that is called on something other than a mapping throws a TypeError', (t) => {
  using map = mapAnonymous(10)
  for (const other of [{}, Object.create(map) as object, MemoryMap.prototype, new Proxy(map, {})]) {
    for (const name of ['view', 'read', 'close', 'check', 'syncSync'] as const) {
      t.throws(() => Reflect.apply(MemoryMap.prototype[name], other, []) as unknown, { instanceOf: TypeError }, name)
    }
    t.throws(() => Reflect.get(MemoryMap.prototype, 'buffer', other) as unknown, { instanceOf: TypeError })
  }
  t.throws(() => Reflect.construct(MemoryMap, []) as unknown, { instanceOf: TypeError })
  t.false(map.closed)
})

test('the error for an operation that a mapping does not have says what to use instead', (t) => {
  const path = scratchFile(t, contents)
  using map = mapShared(path)
  using writable = mapShared(path, { protection: 'read-write' })
  using memory = mapAnonymous(pageSize)
  const { length } = contents
  for (const [run, code, says] of [
    [() => map.write(Buffer.of(1)), 'ERR_MMAP_NOT_WRITABLE', /'read-write'/],
    [() => map.protect('read-write'), 'EACCES', /map it with this protection/],
    [() => map.resize(length + 1), 'ERR_MMAP_BEYOND_END', /'read-write'.*`create`.*`resize`/],
    [() => mapPrivate(path, { length: length + 1 }), 'ERR_MMAP_BEYOND_END', /shared mapping.*`create`/],
    [() => memory.syncSync(), 'ERR_MMAP_NOT_SHARED', /`mapShared`/],
    [() => new Semaphore(memory, 0), 'ERR_MMAP_NOT_SHARED', /`shared: true`/],
    [() => Channel.open(writable), 'ERR_MMAP_INVALID', /`openOrCreate`/],
  ] as const) {
    t.regex(t.throws(run, { code })!.message, says)
  }
})

test('the error for `new` names the function that makes an instance', (t) => {
  using map = mapAnonymous(pageSize, { shared: !isWindows })
  for (const [Class, makes] of [
    [MemoryMap, 'mapShared'],
    [Channel, 'Channel.create'],
    [Broadcast, 'Broadcast.create'],
  ] as const) {
    const make = Class as unknown as new (...args: unknown[]) => unknown
    for (const args of [[], ['file'], [map], [map, { offset: 0 }], [map, 'shared', undefined, {}]]) {
      const expected = { instanceOf: TypeError, code: 'ERR_ILLEGAL_CONSTRUCTOR', says: [makes] }
      throwsCodedError(t, () => new make(...args), expected)
    }
  }
})

test('an error that a getter of the options throws is passed on', (t) => {
  const mine = new Error('mine')
  const options = {
    get protection(): never {
      throw mine
    },
  }
  for (const kind of every)
    t.is(
      t.throws(() => byKind[kind](options)),
      mine,
    )
})

test('no argument ends the process', (t) => {
  // All calls in one process, which says how many it made.
  const script = `
    import * as library from 'memory-map'
    const values = [undefined, null, true, 0, -0, -1, 0.5, NaN, Infinity, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 64, -(2 ** 63),
      0n, -1n, 2n ** 31n, 2n ** 63n, 2n ** 64n, 2n ** 200n, '', 'x', Symbol('x'), {}, [], () => {}, new Date(NaN),
      Buffer.alloc(0), Buffer.alloc(5), new Uint8Array(new SharedArrayBuffer(8)), new DataView(new ArrayBuffer(8)),
      { fd: -1 }, { offset: 1 }, { length: 2n ** 64n }, Object.create(null), new Proxy({}, {}), Uint8Array, Float64Array]
    let calls = 0
    const attempt = (run) => {
      calls++
      try {
        const result = run()
        if (result instanceof Promise) result.catch(() => {})
        else if (result instanceof library.MemoryMap) result.close()
      } catch (error) {
        if (!(error instanceof Error)) throw new Error('not an error')
      }
    }
    // Not the numbers: they could be descriptors of this process.
    const files = values.filter((value) => typeof value !== 'number')
    for (const a of files) for (const b of values) {
      attempt(() => library.mapShared(a, b))
      attempt(() => library.mapPrivate(a, b))
    }
    for (const a of values) for (const b of values) attempt(() => library.mapAnonymous(a, b))
    for (const name of ['view', 'read', 'dataView', 'typedArray', 'write', 'protect', 'sync', 'syncSync', 'check']) {
      const map = library.mapAnonymous(100_000, { onFault() {} })
      for (const a of values) for (const b of values) {
        attempt(() => map[name](a, b))
        if (name === 'typedArray') for (const c of values) attempt(() => map[name](a, b, c))
      }
      map.protect('read-write')
      map.buffer.fill(1)
      map.close()
    }
    setTimeout(() => console.log('calls', calls), 50)
  `
  const args = ['--no-deprecation', '--input-type=module', '--eval', script]
  const cwd = new URL('..', import.meta.url)
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd,
    env: scriptEnv(),
    encoding: 'utf8',
  })
  t.deepEqual([status, signal], [0, null], stderr)
  t.regex(stdout, /^calls \d{5,}\n$/)
})
