/** Where `value` stands among `words`. */
export declare function toChoice(value: unknown, name: string, words: readonly string[]): number;
/** Words as one reads them in a message. */
export declare function list(words: readonly string[]): string;
/** Names the word of `known` that `word` was probably meant to be. */
export declare function didYouMean(word: unknown, known: readonly string[]): string;
/** `options` as an object, if every name in it is one of `known`. */
export declare function check<T>(options: unknown, known: readonly string[], name?: string): T;
