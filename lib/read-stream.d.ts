import type { Readable } from 'node:stream';
import { type Bytes } from './arguments.js';
import type { NativeStop } from './binding.js';
/** Which bytes to stream, and how. */
export interface ReadStreamOptions {
    /** The first byte. Default: 0. */
    readonly start?: Bytes | undefined;
    /** The last byte, inclusive as in `fs.createReadStream`; at most what the mapping has. Default: its last. */
    readonly end?: Bytes | undefined;
    /** Bytes of each chunk, and how many of them wait in the stream. Default: 65,536. */
    readonly highWaterMark?: number | undefined;
    /** Gives strings, decoded from copies, as `setEncoding` does. Default: Buffers. */
    readonly encoding?: BufferEncoding | undefined;
    /** Destroys the stream with an `AbortError`. */
    readonly signal?: AbortSignal | undefined;
}
/** What a stream needs of a mapping; ranges are from `start` to before `end`, in bytes. */
export interface Source {
    length(): number;
    /** A view that keeps its memory when the mapping is closed. */
    view(start: number, end: number): Buffer;
    /** Brings a range in, on another thread, until it is stopped. */
    prefetch(start: number, end: number, stop: NativeStop): Promise<void>;
    /** Throws if a page of a range cannot be read. */
    touch(start: number, end: number): void;
    /** The error that the user sees for one of these, if he is told it. */
    explain(error: unknown): unknown;
}
/** The streams of one mapping. */
export declare class ReadStreams {
    #private;
    constructor(source: Source);
    create(options: unknown): Readable;
    /** What destinations may still be reading: starts and ends of ranges in turn. */
    tails(): number[];
    /** Ends every stream with an error, unless it has come to its end. */
    fail(error: Error): void;
}
