// Summaries of many measurements.

/** The value below which a part of them lies. */
export function quantile(sorted, part) {
  const at = (sorted.length - 1) * part
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]]
  return low + (high - low) * (at % 1)
}

export function summary(values) {
  const sorted = Float64Array.from(values).sort()
  return { median: quantile(sorted, 0.5), q1: quantile(sorted, 0.25), q3: quantile(sorted, 0.75), n: sorted.length }
}

export const median = (values) => summary(values).median

/** At most 101 values that are spread as all of them are. */
export function thin(values) {
  if (values.length <= 101) return values
  const sorted = Float64Array.from(values).sort()
  return Array.from({ length: 101 }, (_, i) => quantile(sorted, i / 100))
}

/** Whole numbers from 0 to before 2 ** 32, the same in each run and in limits.c. */
export function generator(seed = 1) {
  let state = seed
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0)
}
