import type { Token } from './binding.js';
/** Whether the runtime makes them of memory that it does not own; else mappings are put over its own. */
export declare const external: boolean;
/**
 * Makes one over the bytes from `start` on that begin with the mapping's first page. `fresh` says that nothing was
 * stored yet.
 */
export declare function share(token: Token, start: number, size: number, fresh: boolean): SharedArrayBuffer;
/** Refuses a mapping that `share` could not put into one buffer. */
export declare function checkSize(length: number): void;
