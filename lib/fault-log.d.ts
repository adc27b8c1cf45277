import type { NativeFault, Token } from './binding.js';
import { type MemoryFault } from './faults.js';
export declare class FaultLog {
    #private;
    constructor(map: MemoryFault['map'], token: Token, onFault: ((fault: MemoryFault) => void) | undefined);
    /** How many faults there were. */
    get count(): number;
    /** Fetches what has happened. */
    collect(): void;
    /** Throws the oldest fault that no call has thrown yet, if there is one. */
    throwOldest(): void;
    /** Publishes what has happened. */
    tell(): void;
    /** Notes what the closing of the mapping gave: its last faults, or null where nothing is known of it any more. */
    end(reports: readonly NativeFault[] | null): void;
    /** The error that the user sees for one of the native library's about the mapping. */
    explain(error: unknown): unknown;
}
