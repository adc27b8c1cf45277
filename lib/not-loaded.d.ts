/** A file or a package that was tried. */
export interface Attempt {
    readonly place: string;
    readonly isThere: boolean;
    readonly error: unknown;
}
/**
 * @param names the platforms whose libraries this process could load
 * @param others the platforms whose packages are installed besides
 */
export declare function notLoaded(names: readonly string[], attempts: readonly Attempt[], others: readonly string[]): Error;
