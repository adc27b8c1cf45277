import type { MemoryFault } from './faults.js';
/** A load or store of mapped memory failed, and was contained. */
export declare class MemoryFaultError extends Error {
    readonly code = "ERR_MMAP_FAULT";
    /** What failed. */
    readonly fault: MemoryFault;
    constructor(fault: MemoryFault);
}
/** A fault in words. */
export declare function describeFault({ kind, offset, length, contained, map }: MemoryFault): string;
