import type * as Binding from './binding.js';
type Native = typeof Binding;
export declare const native: Native;
export {};
