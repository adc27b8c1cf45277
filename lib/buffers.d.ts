/** Whether memory of no bytes was transferred away, which only who uses it can tell. */
export declare function isDetached(memory: ArrayBufferLike): boolean;
/** A Buffer over a part of `memory`, which must have that part. */
export declare const cut: (memory: ArrayBufferLike, byteOffset: number, length: number) => Buffer<any>;
