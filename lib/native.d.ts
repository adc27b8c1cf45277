import type * as Binding from './binding.js';
export type Native = typeof Binding;
export declare const native: Native;
