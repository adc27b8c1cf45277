import { type Advice } from './advice.js';
import { type Bytes } from './arguments.js';
import type { MemoryFault } from './faults.js';
/** What may be done with pages, as `PROT_*` of mmap(2). */
export type Protection = 'none' | 'read' | 'read-write' | 'read-execute' | 'read-write-execute';
/** In the order that the native library knows them in. */
export declare const PROTECTIONS: readonly Protection[];
/** What lies under the views of a mapping. */
export type Backing = 'array-buffer' | 'shared-array-buffer';
/** What every mapping can be given. */
export interface MapOptions<B extends Backing = 'array-buffer'> {
    /** What may be done with the pages. Default: `'read'` for a shared mapping of a file, `'read-write'` for the others. */
    readonly protection?: Protection | undefined;
    /** Bring the pages in before the call returns (`MAP_POPULATE`). Default: false. */
    readonly populate?: boolean | undefined;
    /** Reserve swap space for pages that can be written; `false` is `MAP_NORESERVE`. Default: true. */
    readonly reserve?: boolean | undefined;
    /** Where in memory the mapping should be, if that is free: a hint, as in mmap(2). */
    readonly address?: bigint | undefined;
    /**
     * What lies under the views. Default: `'array-buffer'`.
     *
     * - `'array-buffer'`: detached by `close()`, and accepted by every API; but the engine counts all of its bytes
     *   as its own memory, and collects garbage for them.
     * - `'shared-array-buffer'`: counted as nothing, and shared with worker threads by `postMessage` without a
     *   copy. It cannot be detached: after `close()` its views read zeros, and their first use is a fault.
     */
    readonly backing?: B | undefined;
    /** Applied at once, as `advise` does. Default: `'normal'`. */
    readonly advice?: Advice | undefined;
    /** Catch faults in the mapping, so that no load or store can end the process. Default: true. */
    readonly guard?: boolean | undefined;
    /** Called with every fault, on the next turn of the event loop. Default: a process warning, once. */
    readonly onFault?: ((fault: MemoryFault) => void) | undefined;
}
/** What a mapping of a file can be given besides. */
export interface FileMapOptions<B extends Backing = 'array-buffer'> extends MapOptions<B> {
    /** Where in the file to start, in bytes; any byte will do. Default: 0. */
    readonly offset?: Bytes | undefined;
    /** How many bytes to map. Default: to the end of the file. */
    readonly length?: Bytes | undefined;
}
/** What a shared mapping of a file can be given besides. */
export interface SharedMapOptions<B extends Backing = 'array-buffer'> extends FileMapOptions<B> {
    /**
     * Make the file if it is missing, and extend it (never shrink it) to `offset + length`. Without `length` a file
     * that is there is mapped to its end, and a new one is empty, for `resize`. Needs a protection that can write.
     * Default: false.
     */
    readonly create?: boolean | undefined;
    /** Permissions of a file that `create` makes, less the umask. Default: 0o666. */
    readonly mode?: number | undefined;
    /**
     * Reserve disk blocks for the range first, so that a full disk is an `ENOSPC` error here instead of
     * a fault later. Needs a protection that can write. Default: false.
     */
    readonly allocate?: boolean | undefined;
}
/** What a mapping without a file can be given besides. */
export interface AnonymousMapOptions<B extends Backing = 'array-buffer'> extends MapOptions<B> {
    /**
     * Put the memory in an anonymous file (memfd_create(2)), whose `fd` can be handed to a child process
     * through `stdio`. Default: false.
     */
    readonly shared?: boolean | undefined;
    /**
     * Large pages: `'transparent'` where the system can make some by itself, or their size in bytes (2 ** 21,
     * 2 ** 30), which come from a pool that must have been set aside (`/proc/sys/vm/nr_hugepages`). The mapping
     * then takes whole pages of that size, and cannot be resized. Default: none.
     */
    readonly hugePages?: 'transparent' | Bytes | undefined;
}
/** What shared memory that has a name can be given. */
export interface SharedMemoryOptions<B extends Backing = 'array-buffer'> extends MapOptions<B> {
    /** How many bytes to map. Default: all of it. Needed where `create` may make it. */
    readonly length?: Bytes | undefined;
    /** Make it if it is missing, and extend it (never shrink it) to `length`. Default: false. */
    readonly create?: boolean | undefined;
    /** With `create`: fail with `EEXIST` if it is there. Default: false. */
    readonly exclusive?: boolean | undefined;
    /** Permissions of what `create` makes, less the umask. Default: 0o600, the owner alone. */
    readonly mode?: number | undefined;
}
/** Options as the native library takes them. */
export interface Parsed {
    offset: number;
    protection: number;
    flags: number;
    address: bigint | null;
    /** Whether the backing is shared. */
    shares: boolean;
    /** Whether an anonymous mapping is of a file that other processes can be given. */
    shared: boolean;
    advice: Advice | undefined;
    onFault: ((fault: MemoryFault) => void) | undefined;
}
export interface ParsedFile extends Parsed {
    /** Negative: to the end of the file. */
    length: number;
    mode: number;
}
/** The number of a protection. */
export declare function toProtection(value: unknown, name: string): number;
export declare function parseShared(options: unknown): ParsedFile;
export interface ParsedMemory extends ParsedFile {
    exclusive: boolean;
}
export declare function parseMemory(options: unknown): ParsedMemory;
export declare function parsePrivate(options: unknown): ParsedFile;
export interface ParsedAnonymous extends Parsed {
    /** Bytes of a huge page; 0 for none, 1 for transparent ones. */
    hugePages: number;
}
export declare function parseAnonymous(options: unknown): ParsedAnonymous;
