import { type MemoryMap } from './main.js';
/** Where a channel is. */
export interface ChannelOptions {
    /** Where it begins, in bytes; a multiple of 64 in memory. Default: 0. */
    readonly offset?: number | bigint | undefined;
}
/** Where a channel is to be, and how long. */
export interface ChannelRange extends ChannelOptions {
    /** How many bytes it has in all, at least 640. Default: to the end of the mapping. */
    readonly length?: number | bigint | undefined;
}
/**
 * Messages with boundaries, from many senders in many processes to one receiver, in order for each sender. Any end
 * can send; whoever receives first is the receiver until its `close()`, its mapping's, or its death.
 *
 * A sender that is killed loses the message that it was making, no other one. A receiver that is killed can be
 * replaced: the next one begins with the message that was not released yet.
 *
 * ```js
 * const inbox = Channel.create(mapShared('inbox', { create: true, length: 2 ** 20, protection: 'read-write' }))
 * for await (const message of inbox) console.log(message.toString())
 * // elsewhere
 * Channel.open(mapShared('inbox', { protection: 'read-write' })).send('hello')
 * ```
 */
export declare class Channel {
    #private;
    private constructor();
    /**
     * Makes a channel in a mapping that is shared and writable, whatever was there.
     *
     * @throws `ERR_OUT_OF_RANGE` where it does not fit; as for a {@link Mutex}
     */
    static create(map: MemoryMap<any>, options?: Readonly<ChannelRange>): Channel;
    /**
     * Opens a channel that is there.
     *
     * @throws `ERR_MMAP_INVALID` where there is none, not all of one, or one of another version
     */
    static open(map: MemoryMap<any>, options?: Readonly<ChannelOptions>): Channel;
    /** Bytes that messages share, with 16 more for each. */
    get capacity(): number;
    /** Bytes of the longest message: half the capacity. */
    get maxLength(): number;
    /** Whether `close()` was called, here or on the mapping. */
    get closed(): boolean;
    /**
     * Sends a message, and blocks the thread until there is room for it; `false` where the time was up.
     *
     * @param data a string is sent as UTF-8
     * @param timeout in milliseconds; for ever where there is none
     * @throws `ERR_OUT_OF_RANGE` where it is longer than {@link maxLength}; `ERR_MMAP_BUSY` while a `sendAsync` is
     *   pending, which this would overtake; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
     */
    send(data: Uint8Array | string, timeout?: number): boolean;
    /** Sends a message if there is room for it now, and no `sendAsync` is pending. */
    trySend(data: Uint8Array | string): boolean;
    /** As {@link send}, with the event loop free meanwhile. Messages are sent in the order of the calls. */
    sendAsync(data: Uint8Array | string, timeout?: number): Promise<boolean>;
    /**
     * Receives a message, and blocks the thread until there is one; undefined where the time was up.
     *
     * @param timeout in milliseconds; for ever where there is none
     * @throws `ERR_MMAP_BUSY` where another one is the receiver, a `receiveAsync` is pending, or a borrowed message
     *   is not released; `ERR_MMAP_INVALID`, `ERR_MMAP_FAULT`, `ERR_MMAP_CLOSED`
     */
    receive(timeout?: number): Buffer | undefined;
    /** Receives a message if there is one now, and no `receiveAsync` is pending. */
    tryReceive(): Buffer | undefined;
    /** As {@link receive}, with the event loop free meanwhile. It keeps the process alive. */
    receiveAsync(timeout?: number): Promise<Buffer | undefined>;
    /** The messages, until the channel is closed. */
    [Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined>;
    /**
     * Takes room for a message of `length` bytes, to be filled in without a copy and then sent by {@link commit};
     * blocks the thread until there is room, undefined where the time was up. Messages that are sent later, by anybody,
     * arrive after it.
     */
    reserve(length: number | bigint, timeout?: number): Buffer | undefined;
    /** Takes room for a message if there is some. */
    tryReserve(length: number | bigint): Buffer | undefined;
    /**
     * Sends what {@link reserve} gave and was filled in, or the first `length` bytes of it. The Buffer is not to be
     * used any more.
     */
    commit(reserved: Buffer, length?: number | bigint): void;
    /** Gives back what {@link reserve} gave: nothing is sent. */
    abandon(reserved: Buffer): void;
    /**
     * Receives a message without a copy: a view of the shared memory, until {@link release}. Blocks the thread as
     * {@link receive} does.
     */
    borrow(timeout?: number): Buffer | undefined;
    /** Borrows a message if there is one now, and no `receiveAsync` is pending. */
    tryBorrow(): Buffer | undefined;
    /** Gives back what {@link borrow} gave, which is not to be used any more: its room is the senders'. */
    release(borrowed: Buffer): void;
    /**
     * Ends what is pending and lets another one be the receiver. The channel stays, and so does the mapping; a message
     * that was borrowed and not released is received again.
     */
    close(): void;
    /** As {@link close}: for `using`. */
    [Symbol.dispose](): void;
}
