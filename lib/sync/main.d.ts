import { type Internals } from '../internals.js';
import type { MemoryMap } from '../memory-map.js';
import type { Native } from '../native.js';
export type { MemoryMap };
export declare let native: Native;
export declare let tokenOf: Internals['tokenOf'];
export declare let explain: Internals['explain'];
/** Whether a value is a mapping of this copy of the package. */
export declare let isMap: (value: unknown) => value is MemoryMap<any>;
/** Takes the class that the main module has, before anything is made. */
export declare function connect(main: typeof MemoryMap): void;
