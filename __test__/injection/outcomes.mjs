// What may come of a call when something that it calls has failed.

/** Codes that say more than the number of the system's. */
const TRANSLATED = [
  { call: 'madvise', error: 'EINVAL', code: 'ERR_MMAP_UNSUPPORTED' },
  // That a page cannot be had has a reason, which is looked for. A tmpfs is out of memory.
  { call: 'madvise', code: 'ENOSPC', of: /populat/ },
  { call: /^fcntl/, error: 'EINVAL', code: 'ERR_MMAP_UNSUPPORTED', of: /seal|temporary/ },
  // Seals that cannot be asked for are none.
  { call: 'fcntl', code: 'ERR_MMAP_NOT_SEALED', of: /seal/ },
  // Who has the lock has it.
  { call: /^fcntl/, error: 'EAGAIN', code: 'ERR_MMAP_BUSY' },
]

/** What a call does without; `elsewhere`, only where no call of the same thread has failed. */
const DONE_WITHOUT = [
  // The descriptor is closed, and what can be lost by it was written by sync() (close(2), NOTES).
  { call: 'close' },
  // What cannot be unmapped is tried again later.
  { call: 'munmap' },
  { error: 'EINTR', call: /^(fallocate|ftruncate|fcntl|open|futex|getrandom|read|pread)/ },
  // The last byte is stored instead.
  { call: /^fallocate/, error: /^(EOPNOTSUPP|ENOSYS)$/ },
  // Blocks that nobody has asked for.
  { call: /^(fallocate|fstatvfs|statx)/, of: /populated/ },
  // Only asked whether the file has become shorter; what is missing then is a fault.
  {
    call: /^fstat(64)?$/,
    of: /^(read|toString|write|.*indexOf|count|find|lines|createReadStream|sync|waitAsync|a load)/i,
  },
  { call: /^(pread|pread64)$/, of: /^(read|toString|.*indexOf|count|find|lines|createReadStream)/i },
  // How many processors there are, by the files of cgroups: one thread searches.
  { call: /^(open|open64|read|statx|lseek|lseek64|sched_getaffinity|pthread_create)$/, of: /^(find|countAsync)/ },
  // How many memory areas there may be and are: the pages are copied.
  { call: /^(open64|read|statx)$/, of: /^resize/ },
  // Whether the thread that waits sleeps, where there is no futex_waitv: what cannot be known is taken for so.
  { call: /^(open64|read|statx|lseek64)$/, of: /^waitAsync/ },
  // Whether memory that the runtime may have taken back shows a file still: it counts as shown.
  { call: 'pread' },
  { call: 'open', of: /^(?!map)/ },
  // A place beside the old one; copies for who reads still; zeros over what is closed.
  { call: /^mmap/, of: /^(resize|close)/ },
  // Closed mappings give their addresses back, and it is mapped again.
  { call: /^(mmap|mmap64|mremap)$/, error: 'ENOMEM', of: /^(map|openShared|resize)/ },
  // Memory areas in reserve.
  { call: /^(mmap|mprotect)/, of: /^a load/ },
  // Advice that nobody has asked for, and pages that are brought in one by one instead.
  { call: 'madvise', of: /^(createReadStream|protect|prefetch|mapAnonymous, large)|populat/ },
  // The question whether the system knows the advice.
  { call: 'madvise', of: /^(advise|mapShared, advised)/, error: /^(?!EINVAL)/ },
  // Whether the handler is in place is looked after again soon.
  { call: 'sigaction', of: /^(?!map|openShared)/ },
  // So does the thread that tells of faults, now and then.
  { call: 'sigaction', elsewhere: true },
  // Old kernels have none: threads look from time to time.
  { call: 'futex_waitv' },
  // One thread sleeps for all who wait: where it cannot, several do.
  { call: /^io_uring_/ },
  { call: /^(mmap|mmap64|madvise)$/, of: /Async/ },
  // The thread that tells of faults can have a lock of the library's for a moment: who waits for that tries again.
  { call: 'futex', of: /^a load/ },
  // Who waits looks at the word, and where the thread that waits for a promise gives up the loop looks from time to time.
  { call: 'futex', error: 'EAGAIN' },
  { call: /^(futex|pthread_create)$/, of: /Async/ },
  // Where a name leads to is asked until it is known.
  { call: 'statx', of: /temporary/ },
  // The standard library asks in the older way.
  { call: 'statx', error: 'ENOSYS' },
  // A lock that holds others back while the name is removed.
  { call: /^(shm_open|fcntl|fcntl64|fstat|fstat64|statx)$/, of: /^unlinkSharedMemory/ },
  // Somebody has that number: another is taken.
  { call: /^fcntl/, error: 'EAGAIN' },
  // Memory areas in reserve, and memory of the runtime's that is left to it.
  { call: 'mprotect', of: /^(?!protect|map|openShared)/ },
  // Signals: one that is not blocked comes.
  { call: 'pthread_sigmask' },
  // The keys of a hash table are others.
  { call: 'getrandom' },
]

/** What may stay when a call has failed. */
const KEPT = [
  // Which of the addresses the system has emptied, and given to others since, cannot be known.
  { call: 'mremap', what: 'addresses' },
  // A file that was extended may have been stored to by others.
  { call: 'mremap', what: 'files' },
  // A name that another process seems to be removing is left to it; who comes next removes what has no user.
  { call: 'fcntl', error: 'EAGAIN', what: 'files', of: /temporary/ },
  // memmap2 looks at no result of munmap(2).
  { call: 'munmap', what: 'addresses', of: /^(mapShared, a new file|openSharedMemory, new)/ },
]

const matches = (pattern, text) =>
  pattern === undefined || (pattern instanceof RegExp ? pattern.test(text) : pattern === text)

const find = (list, { name, call, error, elsewhere = false }, more = () => true) =>
  list.some(
    (entry) =>
      matches(entry.call, call) &&
      matches(entry.error, error) &&
      matches(entry.of, name) &&
      (entry.elsewhere === undefined || entry.elsewhere === elsewhere) &&
      more(entry),
  )

/** Whether the error says what has failed. */
export const isTold = ({ code }, failure) =>
  code === failure.error || find(TRANSLATED, failure, (entry) => entry.code === code)

/** Whether the call may be as good without. */
export const isDoneWithout = (failure) => find(DONE_WITHOUT, failure)

/** Whether `what` may be kept after that. */
export const mayKeep = (failure, what) => find(KEPT, failure, (entry) => entry.what === what)
