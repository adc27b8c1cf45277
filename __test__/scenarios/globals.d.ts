// What only some of the runtimes have, or only the types of browsers name.

declare var Bun: any
declare var Deno: any
declare var WebAssembly: any
declare module 'bun:ffi'
