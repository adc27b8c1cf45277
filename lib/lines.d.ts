/** What has lines. */
export interface Text<T> {
    /**
     * Puts where the lines of a range begin and end into `bounds`, by turns, and where the one after them begins
     * into its last element; says how many lines those are. What comes after the last `\n` is no line here.
     */
    fill(start: number, end: number, bounds: Float64Array): number;
    /** The bytes of a range. */
    cut(start: number, end: number): T;
    /** How many bytes can be cut at most. */
    readonly longest: number;
}
/** The lines of a range; what comes after the last `\n` is one too, unless it is nothing. */
export declare function lines<T>(text: Text<T>, start: number, end: number): Generator<T, void, undefined>;
