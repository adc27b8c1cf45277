import { type Range } from './arguments.js';
import type { NativeStop, Token } from './binding.js';
/** What can be looked for: text, bytes, or the value of one byte. */
export type Needle = string | Uint8Array | number;
/** A part of a mapping to search on other threads. */
export interface SearchOptions extends Range {
    /** Of a string that is looked for. Default: `'utf8'`. */
    readonly encoding?: BufferEncoding | undefined;
    /** Gives it up: the promise rejects at once, and the search ends soon. */
    readonly signal?: AbortSignal | undefined;
}
/** A search as the native library takes it. `wide`: at even offsets only, as in text in UTF-16. */
export type Query = [needle: Uint8Array, wide: boolean, start: number, end: number];
/**
 * The search that `indexOf` or `lastIndexOf` of a Buffer with `length` bytes makes of its arguments; a number
 * where these alone give the answer.
 */
export declare function toQuery(forward: boolean, length: number, value: unknown, byteOffset: unknown, end: unknown, encoding: unknown): Query | number;
/** The search of a range, for something that is there or not. */
export declare function toRangeQuery(value: unknown, range: unknown, encoding: unknown, total: number): Query;
/** The search of a range on other threads, and what ends it. */
export declare function toSearch(value: unknown, options: unknown, total: number): [query: Query, signal: unknown];
/** Where `needle` first occurs, or -1: part by part, until `stop` is set. */
export declare function findInParts(token: Token, query: Query, stop: NativeStop): Promise<number>;
/** How many times `needle` occurs: part by part, until `stop` is set. */
export declare function countInParts(token: Token, query: Query, stop: NativeStop): Promise<number>;
