import type { MemoryMap } from './memory-map.js';
/** Why an access to mapped memory failed. */
export type FaultKind = 'beyond-end' | 'protection' | 'io' | 'no-space' | 'closed';
/** A load or store of mapped memory that failed, and did not end the process. */
export interface MemoryFault {
    /**
     * - `'beyond-end'`: the file ends before the page (it was truncated)
     * - `'protection'`: a store to a read-only page, or any access to a `'none'` page
     * - `'io'`: the device could not deliver the page
     * - `'no-space'`: the file system had no block for the page
     * - `'closed'`: the mapping was closed
     */
    readonly kind: FaultKind;
    /** Start of the page whose access failed first, in bytes from the start of the mapping. */
    readonly offset: number;
    /**
     * Bytes from there that the fault is known to concern. Until the fault is told, stores to other
     * pages that fail for the same reason can be contained by the same cover, without a fault of their own.
     */
    readonly length: number;
    /** Whether every lost store was rolled back, in memory and in the file. */
    readonly contained: boolean;
    /** The mapping. */
    readonly map: MemoryMap<any>;
}
/** A load or store of mapped memory failed, and was contained. */
export declare class MemoryFaultError extends Error {
    readonly code = "ERR_MMAP_FAULT";
    /** What failed. */
    readonly fault: MemoryFault;
    constructor(fault: MemoryFault);
}
/** A fault in words. */
export declare function describeFault({ kind, offset, length, contained, map }: MemoryFault): string;
/** What tells the faults of a mapping, and keeps the mapping alive. */
export interface Teller {
    tell(): void;
}
/** Those of mappings of which the native library does not know the buffers, by what it calls the mappings. */
export declare const numbered: Map<number, WeakRef<Teller>>;
/**
 * Has the faults of a mapping told on the turn after they happened, if its memory is under an ArrayBuffer
 * that {@link adopt} knows. To be called before the first of them is made.
 */
export declare function listen(): void;
/** `buffer`, of which it is noted who tells the faults of the memory under it. */
export declare function adopt<B extends ArrayBuffer | SharedArrayBuffer>(buffer: B, teller: Teller): B;
/** Publishes a fault, and hands it to `onFault`; an error that this throws is an uncaught exception. */
export declare function publish(fault: MemoryFault, onFault: (fault: MemoryFault) => void): void;
