// The errors of each system call, from its manual page, that a correct caller can get.

import { constants } from 'node:os'

const open = 'EACCES EMFILE ENFILE ENOMEM EINTR ELOOP EIO ENOSPC EROFS EPERM EDQUOT ETXTBSY'
const stat = 'EIO EACCES ENOMEM ESTALE'
const map = 'ENOMEM EAGAIN EACCES EPERM ENODEV EINVAL ENFILE'
const write = 'EIO EINTR ENOSPC EDQUOT EFBIG EPERM'
const read = 'EIO EINTR EAGAIN ENOMEM'
const truncate = 'EIO EINTR EFBIG EPERM EROFS ENOSPC EINVAL'
const allocate = 'EINTR EIO ENOSPC EDQUOT EFBIG EOPNOTSUPP ENOSYS EPERM ENODEV ETXTBSY EINVAL'
const copy = 'EPERM ENOSYS ENOMEM EFAULT'
const space = 'EIO ENOSYS ENOMEM EINTR'
const seek = 'EINVAL EOVERFLOW'

const ERRNOS = {
  open,
  open64: open,
  shm_open: 'EACCES EMFILE ENFILE EINTR ENOSPC ENOMEM EPERM',
  memfd_create: 'EMFILE ENFILE ENOMEM EPERM ENOSYS',
  close: 'EIO EINTR ENOSPC EDQUOT',
  fcntl: 'EMFILE EINVAL ENOLCK EAGAIN EINTR',
  fcntl64: 'EINVAL ENOLCK EAGAIN EINTR',
  ioctl: 'ENOTTY EINVAL EPERM',
  isatty: 'ENOTTY',
  stat,
  stat64: stat,
  lstat: stat,
  lstat64: stat,
  fstat: stat,
  fstat64: stat,
  statx: `${stat} ENOSYS`,
  fstatvfs: space,
  fstatvfs64: space,
  lseek: seek,
  lseek64: seek,
  read,
  pread: read,
  pread64: read,
  write,
  pwrite: write,
  pwrite64: write,
  ftruncate: truncate,
  ftruncate64: truncate,
  fallocate: allocate,
  fallocate64: allocate,
  fdatasync: 'EIO ENOSPC EROFS EINVAL EDQUOT EINTR',
  unlink: 'EACCES EBUSY EIO EPERM EROFS',
  readlink: 'EACCES EIO ENOMEM',
  realpath: 'EACCES EIO ENOMEM',
  getcwd: 'EACCES ENOENT ENOMEM',
  shm_unlink: 'EACCES EPERM EIO',
  mmap: map,
  mmap64: map,
  munmap: 'ENOMEM EINVAL',
  mprotect: 'ENOMEM EACCES EINVAL',
  mremap: 'ENOMEM EAGAIN EFAULT EINVAL',
  madvise: 'EAGAIN EINVAL EIO ENOMEM EBADF EPERM EFAULT EBUSY',
  mincore: 'EAGAIN ENOMEM EFAULT EINVAL',
  msync: 'EIO ENOSPC EDQUOT EBUSY EINVAL ENOMEM',
  munlock: 'ENOMEM EAGAIN EPERM EINVAL',
  mlock2: 'ENOMEM EAGAIN EPERM EINVAL ENOSYS',
  process_vm_readv: copy,
  process_vm_writev: copy,
  cachestat: 'EBADF EFAULT EINVAL EOPNOTSUPP ENOSYS',
  futex: 'EINTR EAGAIN EFAULT',
  futex_wake: '', // it has no reason to
  futex_waitv: 'EINTR EAGAIN EFAULT ENOSYS EPERM',
  io_uring_setup: 'EPERM ENOSYS EINVAL ENOMEM EMFILE ENFILE',
  io_uring_enter: 'EINTR EAGAIN EBUSY ENOMEM EPERM',
  io_uring_register: 'EINVAL EPERM',
  sigaction: 'EINVAL',
  pthread_sigmask: 'EINVAL',
  pthread_create: 'EAGAIN EPERM ENOMEM',
  sem_init: 'EINVAL ENOSYS',
  getrandom: 'EAGAIN EINTR ENOSYS',
  sched_getaffinity: 'EFAULT EINVAL EPERM',
  malloc: 'ENOMEM',
  calloc: 'ENOMEM',
  realloc: '', // what becomes smaller can always be had
  gettid: '', // always successful
  posix_memalign: 'ENOMEM',
}

/** The names of the errors that a call can fail with. */
export function errorsOf(call) {
  const names = ERRNOS[call]
  if (names === undefined) throw new Error(`it is not known with what ${call} can fail: add it to ERRNOS`)
  return names.split(' ').filter(Boolean)
}

export const numberOf = (name) => constants.errno[name]
