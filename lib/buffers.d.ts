/** Whether memory of no bytes was transferred away, which only who uses it can tell. */
export declare function isDetached(memory: ArrayBufferLike): boolean;
/** Makes a Buffer over a part of `memory`, which must have that part. */
export type Cut = (memory: ArrayBufferLike, byteOffset: number, length: number) => Buffer<any>;
/** A Buffer over memory that only this thread changes while it is used. */
export declare const cut: Cut;
/** As `Buffer.allocUnsafe`, with the error of the system where there is no memory. */
export declare function allocate(length: number): Buffer<ArrayBuffer>;
