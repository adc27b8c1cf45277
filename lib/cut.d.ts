/** A Buffer over a part of `memory`, which must have that part. */
export declare const cut: (memory: ArrayBufferLike, byteOffset: number, length: number) => Buffer<any>;
