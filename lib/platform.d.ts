/** Platforms that have a package with the native library, `memory-map-<platform>`: `napi.targets` of package.json. */
export declare const prebuilt: readonly string[];
/** Names of the libraries that this process could load, the likelier one first. */
export declare function platforms(): string[];
