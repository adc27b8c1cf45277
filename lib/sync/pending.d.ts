import type { NativeWaits } from '../binding.js';
import { type MemoryMap } from './main.js';
/** Begins a wait by `start`, and resolves to its result. `started` is told a function that ends it. */
export declare function waitFor(map: MemoryMap<any>, start: (waits: NativeWaits, id: number) => void, started?: (cancel: () => void) => void): Promise<number>;
/** Runs a call of the native library, with its errors made the user's. */
export declare function call<T>(map: MemoryMap<any>, run: () => T): T;
