import { type MemoryMap } from './main.js';
/**
 * A count of permits in {@link Semaphore.byteLength} bytes of a shared mapping, which are zero before it is used
 * first. It does not know who took a permit: those of a process that dies are lost.
 *
 * ```js
 * const connections = new Semaphore(map, 64, 10)
 * await connections.acquireAsync()
 * ```
 */
export declare class Semaphore {
    #private;
    /** Bytes that a semaphore takes. */
    static readonly byteLength = 16;
    /**
     * @param map a mapping that is shared and writable
     * @param byteOffset in bytes; aligned to 8 in memory
     * @param initial how many permits it has if nobody has given it any yet; 0 where nobody ever does
     */
    constructor(map: MemoryMap<any>, byteOffset: number | bigint, initial?: number);
    /**
     * Takes a permit, and blocks the thread until it has one; `false` where the time was up.
     *
     * @param timeout in milliseconds; for ever where there is none
     */
    acquire(timeout?: number): boolean;
    /** As {@link acquire}, with the event loop free meanwhile. */
    acquireAsync(timeout?: number): Promise<boolean>;
    /** Takes a permit if there is one. */
    tryAcquire(): boolean;
    /**
     * Gives permits back, or new ones.
     *
     * @throws `ERR_OUT_OF_RANGE` where there would be more than 2,147,483,647
     */
    release(count?: number): void;
}
