// Where the queue of jobs is in the file, and the channel of their results.

const SIZE = 2 ** 20
export const JOBS = { offset: 0, length: SIZE }
export const RESULTS = { offset: SIZE, length: SIZE }
export const LENGTH = 2 * SIZE
