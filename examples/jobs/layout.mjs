// Where the channels are: the results come first, then the jobs of each worker.

export const LENGTH = 2 ** 20
export const RESULTS = { offset: 0, length: LENGTH }
export const jobsOf = (index) => ({ offset: LENGTH * (1 + index), length: LENGTH })
