// The platforms that are tested beside this one: what each needs, how its library is built, and what runs there.

const core = ['runtimes', 'views', 'read-write', 'truncate']
const onFewAddresses = ['addresses', ...core]

/** What the tests of a part depend on: where none of it has changed, a part that passed is not run again. */
const rust = ['crates', 'Cargo.toml', 'Cargo.lock', '.ci/platforms', 'scripts', 'package-lock.json']
const all = [...rust, 'index.ts', 'sync.ts', 'lib', 'tsconfig.json', 'package.json', '__test__', 'examples']

/**
 * @typedef {object} Part
 * @property {number} minutes after which it has failed, also where the machine has other work
 * @property {boolean} [onDemand] takes long, and is run only where it is named
 * @property {boolean} [beside] leaves a processor idle, and is run beside the others
 * @property {string[]} inputs
 * @property {string} [target] the library is built for it as for a release, unless `rustflags` or `unpublished` say otherwise
 * @property {object} [node] on which the specs run, by default the one at hand: see node.mjs
 * @property {string[]} [specs]
 * @property {string[]} [specsOnOtherNodes] those that run on each installed Node
 * @property {string[]} [without] titles of tests that are left out
 * @property {{ architecture: string, kernel: string, pageSize?: number }} [machine] in which the tests of the core run,
 *   with a kernel of its own: the architecture and the kernel as Debian 13 names them
 * @property {{ link: string[], check: string[] }} [lint] targets for which all Rust compiles and passes Clippy
 * @property {boolean} [shares] a file with a process of 64 bits: words.mjs
 * @property {string} [script] runs it all
 */

/** @type {Record<string, Part>} */
export const parts = {
  // Linked for the glibc of 2012. The specs that run scripts do so on every runtime; the others run on every Node.
  x64: {
    minutes: 20,
    inputs: all,
    target: 'x86_64-unknown-linux-gnu',
    node: { host: 'with all runtimes' },
    specs: [...core, 'fault-reports', 'handlers', 'threads'],
    specsOnOtherNodes: [...core, 'fault-reports'],
  },
  windows: { minutes: 60, inputs: all, beside: true, script: 'windows-in-wine.sh' },
  // QEMU's user mode has no process_vm_readv(2), without which lost stores to private pages stay visible (docs/faults.md),
  // shows neighbouring memory areas as one, and has pages of 4 KiB. Specs that need what it lacks are left out.
  arm64: {
    minutes: 25,
    inputs: all,
    target: 'aarch64-unknown-linux-gnu',
    node: { npm: 'linux-arm64', emulator: 'aarch64', compiler: 'aarch64-linux-gnu' },
    specs: [...core, 'fault-reports', 'handlers'],
    without: ['earlier faults of stores *', 'all stray stores are rolled back *'],
  },
  musl: {
    minutes: 20,
    inputs: all,
    target: 'x86_64-unknown-linux-musl',
    node: { musl: 'x86_64' },
    specs: [...core, 'fault-reports'],
  },
  // Libraries for macOS and FreeBSD are linked as for a release, and looked at (scripts/binaries.mjs): those for Windows
  // would need Microsoft's C runtime, those for Android its own. Nothing is run.
  check: {
    minutes: 30,
    inputs: rust,
    lint: {
      link: ['x86_64-apple-darwin', 'aarch64-apple-darwin', 'x86_64-unknown-freebsd'],
      check: ['x86_64-pc-windows-msvc', 'aarch64-pc-windows-msvc', 'aarch64-linux-android', 'armv7-linux-androideabi'],
    },
  },
  // Why an access failed, which macOS and FreeBSD do not tell, is kept from the guard: the specs of faults pass all the same.
  untold: {
    minutes: 20,
    inputs: all,
    rustflags: '--cfg untold_causes',
    node: { host: 'alone' },
    specs: ['fault-reports', 'full-disk', 'read-only', 'truncate'],
  },
  'arm64-musl': {
    minutes: 25,
    inputs: all,
    target: 'aarch64-unknown-linux-musl',
    node: { musl: 'aarch64', emulator: 'aarch64' },
    specs: onFewAddresses,
  },
  // Linux on 32-bit x86, which a processor for x64 runs by itself. Nothing is published for it: it stands for every system
  // of 32 bits. Its Debian has no Python.
  i686: {
    onDemand: true,
    minutes: 60,
    inputs: all,
    target: 'i686-unknown-linux-gnu',
    unpublished: 'linux-ia32-gnu',
    node: { debian: 'i386', chroot: true, compiler: 'x86-linux-gnu' },
    specs: [
      ...onFewAddresses,
      ...'fault-reports handlers random-faults protect residency sync sync-channel sync-mutex sync-wait'.split(' '),
      ...'sync-barrier sync-broadcast sync-channel-open sync-condition sync-event sync-latest sync-queue'.split(' '),
      ...'sync-rwlock handle temporary-memory threads transfer close-in-use process-ends unmappable'.split(' '),
    ],
    without: ['the list has memory that others made*'],
    shares: true,
  },
  // QEMU 10 ends by a SIGBUS of its own ("QEMU internal SIGBUS") in some specs of truncation. In the machine the same
  // faults are contained.
  riscv64: {
    onDemand: true,
    minutes: 150,
    inputs: all,
    target: 'riscv64gc-unknown-linux-gnu',
    node: { debian: 'riscv64', emulator: 'riscv64', compiler: 'riscv64-linux-gnu' },
    specs: onFewAddresses.filter((name) => name !== 'truncate'),
    machine: { architecture: 'riscv64', kernel: 'linux-image-riscv64' },
  },
  armv7: {
    onDemand: true,
    minutes: 150,
    inputs: all,
    target: 'armv7-unknown-linux-gnueabihf',
    node: { debian: 'armhf', emulator: 'arm', compiler: 'arm-linux-gnueabihf' },
    specs: onFewAddresses,
    machine: { architecture: 'armhf', kernel: 'linux-image-armmp-lpae' },
  },
  'arm64-16k': {
    onDemand: true,
    minutes: 120,
    inputs: rust,
    target: 'aarch64-unknown-linux-gnu',
    machine: { architecture: 'arm64', kernel: 'linux-image-arm64-16k', pageSize: 16384 },
  },
}
