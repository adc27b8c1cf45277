import { MemoryMap } from '../../index.js';
export { MemoryMap };
export declare const native: typeof import("../binding.js"), tokenOf: (map: MemoryMap<any>) => import("../binding.js").Token, explain: (map: MemoryMap<any>, error: unknown) => unknown;
