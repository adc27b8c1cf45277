import type { Token } from '../binding.js';
import { type MemoryMap } from './main.js';
/** What `map` is called, which must be a mapping that is open. */
export declare function toToken(map: MemoryMap<any>): Token;
/** A place in a mapping; whether it is inside and aligned the native library says. */
export declare function toPlace(byteOffset: unknown): number;
/** Milliseconds, or -1 for ever. */
export declare function toTimeout(timeout: unknown): number;
/** A count from `least` on that 32 bits hold. */
export declare function toCount(value: unknown, name: string, least: number): number;
/** The bytes of a message. */
export declare function toMessage(data: unknown): Uint8Array;
