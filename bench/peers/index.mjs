// Who else maps files: a module that has `map(file)`, and the program that runs it.

/** `map` of a peer. Loaded late, so that a process has only the one that it measures. */
export const load = async (module) => (await import(`./${module}.mjs`)).map

export const peers = {
  'koffi (FFI)': { module: 'koffi' },
  '@riaskov/mmap-io': { module: 'mmap-io', keeps: true },
  '@raygun-nickj/mmap-io': { module: 'raygun-mmap-io', keeps: true },
  'node:ffi on Node 26': { module: 'node-ffi', program: 'node26' },
  'Bun.mmap': { module: 'bun', program: 'bun', keeps: true },
  'Deno FFI': { module: 'deno-ffi', program: 'deno' },
}

/** A way for each peer but one mmap-io, which differs from the other only in how it opens. */
export const waysOf = (way) =>
  Object.fromEntries(
    Object.entries(peers)
      .filter(([name]) => name !== '@raygun-nickj/mmap-io')
      .map(([name, peer]) => [name, way(peer)]),
  )
