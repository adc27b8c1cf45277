// Words with a meaning, and suggestions for words without one.

import { invalidType, invalidValue, withCode } from './errors.js'

/** Where `value` stands among `words`. */
export function toChoice(value: unknown, name: string, words: readonly string[]): number {
  const index = words.indexOf(value as string)
  if (index >= 0) return index
  if (typeof value !== 'string') throw invalidType(name, `one of ${list(words)}`, value)
  throw invalidValue(name, value, `must be one of ${list(words)}${didYouMean(value, words)}`)
}

/** A list of words for a message. */
export function list(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(', ')
}

/** What other libraries and languages call the same things, and our name for each. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  writable: "protection: 'read-write'",
  write: "protection: 'read-write'",
  executable: "protection: 'read-execute'",
  access: 'protection',
  prot: 'protection',
  permissions: 'protection',
  size: 'length',
  bytes: 'length',
  count: 'length',
  position: 'offset',
  start: 'offset',
  begin: 'offset',
  prefault: 'populate',
  hugetlb: 'hugePages',
  r: 'read',
  ro: 'read',
  w: 'read-write',
  rw: 'read-write',
  wr: 'read-write',
  rx: 'read-execute',
  rwx: 'read-write-execute',
}

/** Words that are longer were not meant to be one of ours, and comparing them takes long. */
const LONGEST = 64

/** Names the word of `known` that `word` was probably meant to be. */
export function didYouMean(word: unknown, known: readonly string[]): string {
  const text = String(word)
  if (text.length > LONGEST) return ''
  const meant = plain(text)
  const here = Object.hasOwn(ELSEWHERE, meant) ? ELSEWHERE[meant]! : ''
  if (known.includes(here)) return `; did you mean '${here}'?`
  if (known.includes(here.split(':', 1)[0]!)) return `; did you mean \`${here}\`?`
  let nearest = ''
  let least = meant.length > 3 ? Math.max(2, Math.floor(meant.length / 3)) + 1 : 2
  for (const candidate of known) {
    const right = plain(candidate)
    const begun = meant.length > 2 && right.startsWith(meant)
    const changes = begun ? 1 : distance(meant, right)
    if (changes < least) [nearest, least] = [candidate, changes]
  }
  return nearest && `; did you mean '${nearest}'?`
}

/** A word without the parts that people most often get wrong. */
function plain(word: string): string {
  return word.toLowerCase().replaceAll(/[^a-z]/g, '')
}

/** Single-letter changes from one word to another (Levenshtein). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const change = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[to.length]!
}

/** `options` as an object, if every name in it is one of `known`. */
export function check<T>(options: unknown, known: readonly string[], name = 'options'): T {
  if (options === undefined) return {} as T
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidType(name, 'an object', options)
  }
  for (const option of Object.keys(options)) {
    if (!known.includes(option)) {
      throw withCode(
        new TypeError(`Unknown option "${option}"${didYouMean(option, known) || `: the options are ${list(known)}`}`),
        'ERR_INVALID_ARG_VALUE',
      )
    }
  }
  return options as T
}
