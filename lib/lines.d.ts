import type { Window } from './windows.js';
/** Memory that has the bytes of a text from `start` to before `end`. */
export type Piece = Window | {
    readonly memory: Buffer;
    readonly start: number;
    readonly end: number;
};
/** What has lines. */
export interface Text<T> {
    /**
     * Puts where the lines of a range begin and end into `bounds`, by turns, and where the one after them begins
     * into its last element; says how many lines those are. What comes after the last `\n` is no line here.
     * What it throws is the native library's.
     */
    fill(start: number, end: number, bounds: Float64Array): number;
    /** The error that the user sees for one that he is thrown. */
    explain(error: unknown): unknown;
    /** A piece that has the bytes from `start` to before `end`, and can have more, before `limit`. */
    piece(start: number, end: number, limit: number): Piece;
    /** Something that is another one once the pieces of before are of no use any more. */
    epoch(): unknown;
    /** Makes a line of a part of a piece. */
    cut(memory: Piece['memory'], byteOffset: number, length: number): T;
    /** How many bytes a piece can have at most. */
    readonly longest: number;
}
type Next<T> = IteratorResult<T, undefined>;
/** The lines of a range; what comes after the last `\n` is one too, unless it is nothing. Faster than a generator. */
export declare class Lines<T> implements IterableIterator<T, undefined, unknown> {
    #private;
    [Symbol.iterator]: () => this;
    constructor(text: Text<T>, start: number, end: number);
    next(): Next<T>;
    /** Ends the lines, as `break` does in a loop over them. */
    return(): Next<T>;
    /** As {@link return}: for `using`. */
    [Symbol.dispose](): void;
}
export {};
