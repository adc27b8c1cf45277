type Constructor = new (memory: ArrayBufferLike, byteOffset: number, length: number) => any;
type Compare = ((a: any, b: any) => number) | undefined;
/** Notes what makes arrays over memory that others can change, instead of `plain`. */
export declare function setVolatile(plain: Function, constructor: Constructor): void;
/**
 * Makes a typed array over memory that others can change: it is an instance of `plain` that sorts copies. Engines sort
 * in place with algorithms that leave the array where elements change meanwhile, and change what is beside it.
 */
export declare function makeVolatile(plain: Constructor, memory: ArrayBufferLike, byteOffset: number, length: number): unknown;
/** Sorts a copy of `array`, and stores that. */
export declare function sortCopy<T extends Uint8Array>(array: T, compare: Compare, sort?: unknown): T;
export {};
