// `npm run test:sanitizers [address | thread | miri]`: the tests of the core under a sanitizer, or under all that can be
// had here; with AddressSanitizer also random programs and hostile calls on Node. docs/testing.md has more.

import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

import { chosen, given } from './arguments.mjs'
import { building, host, output, root, run } from './sanitized.mjs'

const folder = join(root, 'target', 'sanitizers')
const suppressions = (name) => `suppressions=${join(root, '__test__', 'sanitizers', name)}`
const libraries = join(output('rustc', ['--print', 'sysroot']), 'lib', 'rustlib', host, 'lib')

/** What rustc links programs with: the runtime of a sanitizer. */
function runtime(name) {
  const file = readdirSync(libraries).find((one) => /^librustc-\w+_rt\./.test(one) && one.endsWith(`.${name}.a`))
  return file === undefined ? undefined : join(libraries, file)
}

const programs = readdirSync(join(root, 'crates', 'memory-map', 'tests'))
  .filter((file) => file.endsWith('.rs'))
  .map((file) => basename(file, '.rs'))

/** Arguments for the tests of the core, except those that loom runs. */
function tests(names) {
  return ['test', '--locked', '--package', 'memory-map', '--no-fail-fast', ...names.flatMap((name) => ['--test', name])]
}

function address() {
  if (runtime('asan') === undefined) return 'this Rust has no runtime for it'
  const env = {
    ...building(['-Zsanitizer=address']),
    CARGO_TARGET_DIR: join(folder, 'address'),
    // The guard has SIGSEGV and SIGBUS, and children die by them. Allocations may be refused, as elsewhere.
    ASAN_OPTIONS: 'handle_segv=0:handle_sigbus=0:allocator_may_return_null=1',
    LSAN_OPTIONS: suppressions('leaks.txt'),
  }
  const all = tests(programs.filter((name) => name !== 'models' && name !== 'ipc_kill'))
  // LeakSanitizer needs a descriptor, and AddressSanitizer memory and areas of it.
  const without = [
    'no_descriptor_is_left',
    'descriptors_run_out',
    'no_memory_area_is_left',
    'grants_no_more_writable_memory',
  ]
  const skip = ['--', ...without.flatMap((what) => ['--skip', what])]
  const core = run('cargo', [...all, '--lib', '--target', host, ...skip], { env })
  const built = run('cargo', ['build', '--locked', '--package', 'memory-map-node', '--target', host], { env })
  return built && onNode(join(folder, 'address', host, 'debug', 'libmemory_map_node.so')) && core
}

/** The runtime as a library that can be preloaded: programs begin it by a section that libraries cannot have. */
function preloaded() {
  // Its name may not be that of another runtime: it would take itself for one.
  const [archive, source, library] = ['asan.a', 'begin.c', 'preloaded.so'].map((name) => join(folder, name))
  cpSync(runtime('asan'), archive)
  writeFileSync(
    source,
    'void __asan_init(void);\n__attribute__((constructor(101))) static void begin(void) { __asan_init(); }\n',
  )
  const whole = ['-Wl,--whole-archive', archive, '-Wl,--no-whole-archive', '-lpthread', '-ldl', '-lm', '-lrt']
  const made =
    run('ar', ['d', archive, 'asan_preinit.cpp.o']) && run('cc', ['-shared', '-fPIC', '-o', library, source, ...whole])
  if (!made) throw new Error('the runtime cannot be made a library')
  return library
}

/**
 * Node leaves much of its own behind. What lives to the end looks like a leak where only V8's heap has its address, which
 * LeakSanitizer does not look through: a leak is what comes again and again.
 */
function isLeak(block) {
  return /memory_map/.test(block) && Number(/leak of .* in (\d+) object/.exec(block)?.[1] ?? 0) >= 10
}

/** Random programs and hostile calls on this Node, with the library built for AddressSanitizer. */
function onNode(library) {
  if (!existsSync(join(root, 'index.js'))) return 'first: npm run build'
  const [tree, reports] = ['tree', 'reports'].map((name) => join(folder, name))
  for (const one of [tree, reports]) rmSync(one, { recursive: true, force: true })
  mkdirSync(reports, { recursive: true })
  const copied = ['lib', '__test__/helpers', '__test__/hostile', '__test__/model', '__test__/scenarios']
  const files = [
    'index.ts',
    'index.js',
    'index.d.cts',
    'sync.ts',
    'sync.js',
    'sync.d.cts',
    'package.json',
    'tsconfig.json',
  ]
  for (const name of [...copied, ...files]) cpSync(join(root, name), join(tree, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'))
  const { glibcVersionRuntime } = process.report.getReport().header
  if (glibcVersionRuntime === undefined) return 'on Node it needs glibc'
  cpSync(library, join(tree, 'memory-map.linux-x64-gnu.node'))
  const env = {
    LD_PRELOAD: preloaded(),
    // Leaks are told in reports, for what ends with another code is a crash.
    ASAN_OPTIONS: `handle_segv=0:handle_sigbus=0:allocator_may_return_null=1:abort_on_error=1:exitcode=0:log_path=${join(reports, 'report')}`,
    LSAN_OPTIONS: suppressions('leaks.txt'),
  }
  const node = (...args) => run(process.execPath, ['--import=@oxc-node/core/register', ...args], { cwd: tree, env })
  const random = node('__test__/model/main.ts', '1', '200', 'node')
  // One in 13 of them, and one of each function with nothing but hostile arguments.
  const calls = node('__test__/hostile/main.ts', '1', '1', 'node', '13')
  const blocks = readdirSync(reports).flatMap((name) => readFileSync(join(reports, name), 'utf8').split(/\n\n+/))
  const ours = blocks.filter((block) => /ERROR: AddressSanitizer/.test(block) || isLeak(block))
  for (const block of new Set(ours)) console.log(block)
  console.log(`on Node: ${ours.length} reports of leaks and errors`)
  return random && calls && ours.length === 0
}

function thread() {
  const archive = runtime('tsan')
  if (archive === undefined) return 'this Rust has no runtime for it'
  const env = {
    TSAN_OPTIONS: suppressions('races.txt'),
    CARGO_TARGET_DIR: join(folder, 'thread'),
  }
  // Not `ipc` and `ipc_direct`: an atomic operation that faults has a lock of ThreadSanitizer's, which the guard's waits for.
  const ipc = ['locks', 'conditions', 'waits', 'channels', 'queues', 'broadcast', 'latest'].map((name) => `ipc_${name}`)
  const own = [...ipc, 'guard']
  const source = join(libraries, '..', '..', 'src', 'rust', 'library')
  // It must see what the standard library does, which has to be built for it: of the sources of rustup's `rust-src`,
  // or with the compiler and the sources of Debian's packages.
  // ThreadSanitizer's own areas are counted there.
  const args = [...tests(own), '--target', host]
  const skip = ['--', '--skip', 'stay_few_areas']
  if (existsSync(source)) {
    const flags = building(['-Zsanitizer=thread'])
    return run('cargo', [...args, '-Zbuild-std', ...skip], { env: { ...env, ...flags } })
  }
  const tools = join(root, '.ci', 'platforms', 'tools')
  if (!existsSync('/usr/bin/apt-get') || !run(join(tools, 'packages.sh'), ['rustc-web', 'cargo-web', 'rust-web-src'])) {
    return 'there are no sources of the standard library: rustup component add rust-src'
  }
  const sysroot = output(join(tools, 'std.sh'), [host, 'thread'])
  cpSync(archive, join(sysroot, 'lib', 'rustlib', host, 'lib', 'librustc-stable_rt.tsan.a'))
  const flags = building([`--sysroot=${sysroot}`, '-Zsanitizer=thread'])
  return run('/usr/bin/cargo', [...args, ...skip], {
    env: { ...env, ...flags, RUSTC: '/usr/bin/rustc' },
  })
}

function miri() {
  const cargo = ['+nightly', 'miri']
  try {
    output('cargo', [...cargo, '--version'])
  } catch {
    return 'there is no Miri: rustup toolchain install nightly --component miri'
  }
  // What asks nothing of the system that Miri has not.
  const pure = [
    'file::list::tests::',
    'guard::overlay::tests::overlays_never_overlap',
    'guard::record::tests::',
    'guard::registry::tests::',
    'guard::scratch_windows::tests::',
    'mapping::needle::tests::',
    'region::unmap::tests::',
  ]
  const MIRIFLAGS = '-Zmiri-ignore-leaks -Zmiri-permissive-provenance'
  const env = { CARGO_TARGET_DIR: join(folder, 'miri'), MIRIFLAGS }
  const all = [...cargo, 'test', '--package', 'memory-map', '--lib', '--', ...pure]
  const listed = output('cargo', [...all, '--list'], { env })
  const gone = pure.filter((name) => !listed.includes(name))
  if (gone.length > 0) throw new Error(`there is no test ${gone.join(', ')}`)
  return run('cargo', all, { env })
}

const kinds = { address, thread, miri }
const asked = given(Infinity).positionals
for (const name of chosen('sanitizer', asked, Object.keys(kinds))) {
  console.log(`== ${name}`)
  const result = kinds[name]()
  if (result !== true) console.log(result === false ? `-- FAILED: ${name}` : `-- NOT RUN: ${name}: ${result}`)
  // What was asked for must run.
  if (result === false || (result !== true && asked.length > 0)) process.exitCode = 1
}
