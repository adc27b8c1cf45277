import type { Token } from './binding.js';
import { type Cut } from './buffers.js';
import { type Teller } from './faults.js';
/** What memory is given out over, and what explains why it could not be. */
interface Owner extends Teller {
    /** The error that the user sees for one of the native library's. */
    explain(error: unknown): unknown;
}
/** Memory that has the bytes of a mapping from `start` to before `end`. */
export interface Window {
    readonly memory: ArrayBuffer | SharedArrayBuffer;
    readonly start: number;
    readonly end: number;
}
/** The windows of one mapping. */
export declare class Windows {
    #private;
    /** Makes a Buffer over a part of a window's memory. */
    readonly cut: Cut;
    constructor(token: Token, shares: boolean, cut: Cut, owner: Owner);
    /** Something that is another object once the windows of before are of no use any more. */
    get epoch(): unknown;
    /** How many bytes a window can have at most. */
    get longest(): number;
    /** Notes where the mapping is, and forgets the windows over where it was. */
    measure(lead: number, length: number): void;
    /** Notes that the mapping may have been stored to. */
    touch(): void;
    forget(): void;
    /** The window that has a range of the mapping. */
    over(start: number, end: number): Window;
    /** The memory from the start of the mapping's first page to its end, in one piece. */
    whole(): ArrayBuffer | SharedArrayBuffer;
    /** A Buffer over a range of the mapping. */
    view(start: number, end: number): Buffer<any>;
    /** A view that the closing of the mapping does not take away. */
    lastingView(start: number, end: number): Buffer;
}
export declare const LIMIT: string;
/** Whether the runtime makes them of memory that it does not own; else mappings are put over its own. */
export declare const external: boolean;
/** Refuses a mapping that `share` could not put into one buffer. */
export declare function checkSize(length: number): void;
export {};
