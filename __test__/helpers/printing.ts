// Every test process begins with this: a failing assertion prints a mapping. AVA iterates over what it prints, and a
// mapping throws then (handle.spec.ts).

import { MemoryMap } from 'memory-map'

Reflect.deleteProperty(Object.getPrototypeOf(MemoryMap.prototype), Symbol.iterator)
