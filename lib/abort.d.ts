import type { NativeStop } from './binding.js';
/** `signal`, if it is one or undefined. */
export declare function toSignal(signal: unknown): AbortSignal | undefined;
/** Runs work that looks at `stop`; rejects at once when `signal` aborts it, and has the work stop soon. */
export declare function abortable<T>(signal: AbortSignal | undefined, run: (stop: NativeStop) => Promise<T>): Promise<T>;
