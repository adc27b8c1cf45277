import { type Cut } from './buffers.js';
/** A Buffer over memory that others can change at any time; see {@link VolatileBuffer}. */
export declare const cutVolatile: Cut;
