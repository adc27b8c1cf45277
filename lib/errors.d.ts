/** `error` with a code, as Node's errors have one. */
export declare function withCode<E extends Error>(error: E, code: string): E & {
    code: string;
};
export declare function invalidType(name: string, expected: string, value: unknown): TypeError;
export declare function invalidValue(name: string, value: unknown, reason: string): TypeError;
export declare function outOfRange(name: string, requirement: string, value: unknown): RangeError;
export declare function illegalConstructor(instead: string): TypeError;
export declare function closedError(): Error;
export declare function resizedError(): Error;
export declare function tooLarge(what: string, advice: string): RangeError;
export declare function stringTooLong(): Error;
/** The error of a system that has no memory for a copy of `length` bytes. */
export declare function outOfMemory(length: number): Error;
export declare function unsupported(what: string): Error;
export declare function aborted(signal: AbortSignal): Error;
/** What the system is called to complain about: the path where there is one. */
export type Subject = string | undefined;
/** Makes the error that the user sees. Errors that are not the native library's stay as they are. */
export declare function translate(error: unknown, path?: Subject): unknown;
