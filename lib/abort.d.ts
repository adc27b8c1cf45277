import type { NativeStop } from './binding.js';
/** `signal`, if it is one or undefined. */
export declare function toSignal(signal: unknown): AbortSignal | undefined;
/**
 * Runs work that looks at `stop`; when `signal` aborts it, rejects at once and has the work stop soon, unless it is past
 * being stopped.
 */
export declare function abortable<T>(signal: AbortSignal | undefined, run: (stop: NativeStop) => Promise<T>): Promise<T>;
