/** A count of bytes or an offset, in bytes. Given back as a number always. */
export type Bytes = number | bigint;
/** `value` as a number, if it is a whole number of bytes. */
export declare function toBytes(value: unknown, name: string): number;
/** A part of a mapping. */
export interface Range {
    /** Where it begins, in bytes from the start of the mapping. Default: 0. */
    readonly offset?: Bytes | undefined;
    /** How many bytes it has. Default: to the end of the mapping. */
    readonly length?: Bytes | undefined;
}
/** First byte of a range and the one after its last, checked against a mapping of `total` bytes. */
export declare function toRange(offset: unknown, length: unknown, total: number): [start: number, end: number];
/** Where something begins in a mapping of `total` bytes; 0 where nothing is said. */
export declare function toOffset(value: unknown, total: number, name: string): number;
/** How many bytes something has that begins at `start`; all that are left where nothing is said. */
export declare function toLength(value: unknown, start: number, total: number, name: string): number;
/** The file to map: a path, or a descriptor or FileHandle, which stays the caller's. */
export type FileSource = string | Buffer | URL | number | {
    readonly fd: number;
};
/** A file as the native library takes it, and its path where there is one. */
export declare function toSource(file: unknown): [source: string | Uint8Array | number, path: string | undefined];
/** The name of an encoding; UTF-8 where nothing is said. */
export declare function toEncoding(value: unknown): BufferEncoding;
/** Whether an encoding has two bytes for each character. */
export declare function isUtf16(encoding: string): boolean;
/** Throws if text of `length` bytes has more characters than a string can have, whatever the bytes are. */
export declare function checkText(length: number, encoding?: BufferEncoding): void;
