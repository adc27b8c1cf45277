import { type MemoryMap } from './memory-map.js';
import { type Backing, type SharedMemoryOptions } from './options.js';
/**
 * Maps memory that has a name (shm_open(3)): every process of this machine that opens the name maps the same
 * memory. It stays until `unlinkSharedMemory`, also when nobody maps it, or until the machine restarts.
 *
 * On Windows it is a section named `Local\` and the name: of the processes of one session, as long as it was made, in
 * whole pages, and gone with the last mapping of it. `mode` changes nothing there: it is this user's.
 *
 * ```js
 * const map = openSharedMemory('counters', { create: true, length: 4096 })
 * ```
 *
 * @param name 1 to 30 bytes without a slash, but for one in front, which may be left out: what every system takes
 * @throws `ENOENT`, `EEXIST`, `EACCES` and the OS's other errors; `ERR_MMAP_BEYOND_END`; `ERR_MMAP_UNSUPPORTED` for
 * more than it was made with, on Windows
 */
export declare function openSharedMemory(name: string, options?: Readonly<SharedMemoryOptions>): MemoryMap;
export declare function openSharedMemory(name: string, options: Readonly<SharedMemoryOptions<'shared-array-buffer'>> & {
    readonly backing: 'shared-array-buffer';
}): MemoryMap<SharedArrayBuffer>;
export declare function openSharedMemory(name: string, options?: Readonly<SharedMemoryOptions<Backing>>): MemoryMap<ArrayBuffer | SharedArrayBuffer>;
/**
 * Takes the name of shared memory away (shm_unlink(3)). Mappings of it stay as they are; the memory goes with the
 * last of them. On Windows this does nothing and never fails: the name goes with the last mapping, and not before.
 *
 * @throws `ENOENT` and the OS's other errors
 */
export declare function unlinkSharedMemory(name: string): void;
