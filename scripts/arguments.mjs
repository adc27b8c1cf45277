// What the scripts of package.json take from the command line. One that does not know an argument ends with 2 and says what
// there is: with a misspelt name it would check nothing, and pass.

import { parseArgs } from 'node:util'

/**
 * The options, as `parseArgs` has them, and at most so many other arguments.
 *
 * @param {number} most
 * @param {import('node:util').ParseArgsConfig['options']} [options]
 */
export function given(most, options) {
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true })
    if (positionals.length > most) refuse(`it takes no ${positionals[most]}`)
    return { values, positionals }
  } catch (error) {
    return refuse(error.message)
  }
}

/**
 * A whole number of at least `least`.
 *
 * @param {string} what it is called in the usage
 * @param {string | number} text
 */
export function wholeNumber(what, text, least = 0) {
  if (!/^\d+$/.test(text) || Number(text) < least)
    refuse(`${what} is a whole number from ${least} on, and not "${text}"`)
  return Number(text)
}

/**
 * The names that are asked for, or all if none are.
 *
 * @param {string} kind
 * @param {string[]} asked
 * @param {string[]} names
 */
export function chosen(kind, asked, names) {
  const unknown = asked.find((name) => !names.includes(name))
  if (unknown !== undefined) refuse(`there is no ${kind} "${unknown}", only ${names.join(', ')}`)
  return asked.length > 0 ? asked : names
}

/** @returns {never} */
function refuse(problem) {
  console.error(problem)
  process.exit(2)
}
