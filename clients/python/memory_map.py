"""Mutexes, channels and newest values in memory that is shared with memory-map of Node, Bun and Deno.

    from memory_map import Channel, Memory, Mutex

    memory = Memory("work.bin")
    with Mutex(memory, 0) as how:
        if how == "recovered":
            repair()  # its last owner died while it held the lock
        change(memory.map)
    Channel(memory, 4096).send(b"hello")

Layouts and protocols are those of docs/memory-model.md, docs/channel.md and docs/latest.md. For CPython 3.9 and later on 64-bit Linux
and macOS, little-endian. Only Linux is tested.

A file that is truncated while it is mapped ends a Python process with SIGBUS: nothing here guards against that.
"""

import ctypes
import fcntl
import mmap
import os
import platform
import secrets
import sys
import time
import weakref

__all__ = ["Busy", "Channel", "Damaged", "Latest", "Memory", "Mutex"]

IS_LINUX = sys.platform.startswith("linux")

if sys.byteorder != "little" or sys.maxsize < 2**32 or not (IS_LINUX or sys.platform == "darwin"):
    raise ImportError("memory_map needs 64-bit Linux or macOS on a little-endian processor")


class Busy(Exception):
    """Another process has what only one can have."""


class Damaged(Exception):
    """The memory does not hold what it should: something else has written to it."""


# ---- Atomic operations: Python has none, so one is borrowed from a library, and all others are made of that.


def _load_compare_exchange():
    """A function (address, expected, desired) that gives what was there, sequentially consistent."""
    if not IS_LINUX:
        # OSAtomic.h; deprecated, and in every macOS.
        system = ctypes.CDLL(None)
        swap = system.OSAtomicCompareAndSwap64Barrier
        swap.restype, swap.argtypes = ctypes.c_bool, [ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
        add = system.OSAtomicAdd64Barrier
        add.restype, add.argtypes = ctypes.c_int64, [ctypes.c_int64, ctypes.c_void_p]

        def compare_exchange(address, expected, desired):
            while not swap(expected, desired, address):
                seen = add(0, address) % 2**64
                if seen != expected:
                    return seen
            return expected

        return compare_exchange
    try:
        exchange = ctypes.CDLL("libatomic.so.1").__getattr__("__atomic_compare_exchange_8")
    except (OSError, AttributeError):
        raise ImportError(
            "memory_map needs GCC's libatomic.so.1 for its atomic operations: the package is called libatomic1 on "
            "Debian and Ubuntu, libatomic on Fedora and Alpine"
        ) from None
    exchange.restype = ctypes.c_bool
    exchange.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int, ctypes.c_int]
    SEQUENTIAL = 5  # __ATOMIC_SEQ_CST

    def compare_exchange(address, expected, desired):
        seen = ctypes.c_uint64(expected)
        exchange(address, ctypes.addressof(seen), desired, SEQUENTIAL, SEQUENTIAL)
        return seen.value

    return compare_exchange


_compare_exchange = _load_compare_exchange()


def _load(address):
    return _compare_exchange(address, 0, 0)


def _update(address, change):
    """Stores what `change` makes of what is there; gives what was there."""
    seen = _load(address)
    while True:
        now = _compare_exchange(address, seen, change(seen))
        if now == seen:
            return seen
        seen = now


def _store(address, value):
    _update(address, lambda _: value)


# ---- Sleeping on a word: its lower half. Who should wake it may have died, so all sleeps are short.

_ALL = 2**31 - 1
_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


if IS_LINUX:
    _CALLS = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "loongarch64": 98, "ppc64le": 221}
    _FUTEX = _CALLS.get(platform.machine())
    if _FUTEX is None:
        raise ImportError(f"memory_map does not know the number of futex(2) on {platform.machine()}")
    _WAIT, _WAKE = 0, 1  # without FUTEX_PRIVATE_FLAG: between processes
    _libc.syscall.restype = ctypes.c_long

    def _sleep(address, value, seconds):
        limit = _Timespec(int(seconds), int(seconds % 1 * 1e9))
        word, low = ctypes.c_void_p(address), ctypes.c_uint32(value % 2**32)
        _libc.syscall(ctypes.c_long(_FUTEX), word, ctypes.c_int(_WAIT), low, ctypes.byref(limit), None, 0)

    def _wake(address, count):
        _libc.syscall(ctypes.c_long(_FUTEX), ctypes.c_void_p(address), ctypes.c_int(_WAKE), ctypes.c_int(count))

else:
    _SHARED = 1  # os/os_sync_wait_on_address.h, from macOS 14.4 on

    def _sleep(address, value, seconds):
        end = time.monotonic() + seconds
        while _load(address) % 2**32 == value % 2**32 and time.monotonic() < end:
            time.sleep(0.001)

    def _wake(address, count):
        try:
            wake = _libc.os_sync_wake_by_address_all
        except AttributeError:
            return
        wake(ctypes.c_void_p(address), ctypes.c_size_t(4), ctypes.c_uint32(_SHARED))


class _Patience:
    """A time limit in seconds; None is none."""

    def __init__(self, timeout):
        self._end = None if timeout is None else time.monotonic() + timeout

    def is_over(self):
        return self._end is not None and time.monotonic() >= self._end

    def sleep(self, address, value, seconds):
        if self._end is not None:
            seconds = max(0, min(seconds, self._end - time.monotonic()))
        _sleep(address, value, seconds)


def _slice(round):
    """How long to sleep before asking again whether an owner is alive."""
    return min(0.02 * 2 ** min(round, 4), 0.32)


# ---- Participants: a number, and a lock on a byte far behind the end of the file, which the kernel drops when the
# process ends.

_FIRST = 2**61
_BITS = 61


class _Lock(ctypes.Structure):
    """struct flock"""

    _fields_ = (
        [
            ("type", ctypes.c_short),
            ("whence", ctypes.c_short),
            ("start", ctypes.c_int64),
            ("length", ctypes.c_int64),
            ("pid", ctypes.c_int),
        ]
        if IS_LINUX
        else [
            ("start", ctypes.c_int64),
            ("length", ctypes.c_int64),
            ("pid", ctypes.c_int),
            ("type", ctypes.c_short),
            ("whence", ctypes.c_short),
        ]
    )


_GET, _SET = (36, 37) if IS_LINUX else (92, 90)  # F_OFD_GETLK, F_OFD_SETLK


class _Participants:
    """Those of one file in this process, and whether others are alive."""

    def __init__(self, fd):
        # Once more: a descriptor may be shared with children, and then its locks are too.
        path = f"/proc/self/fd/{fd}" if IS_LINUX else fcntl.fcntl(fd, 50, bytes(1024)).split(b"\0")[0]  # F_GETPATH
        self._fd = os.open(path, os.O_RDWR)
        self._own = set()

    def _control(self, command, number, kind):
        lock = _Lock(type=kind, whence=os.SEEK_SET, start=_FIRST + number, length=1)
        return _Lock.from_buffer_copy(fcntl.fcntl(self._fd, command, bytes(lock))).type

    def join(self):
        for _ in range(16):
            number = secrets.randbits(_BITS)
            try:
                if number != 0:
                    self._control(_SET, number, fcntl.F_WRLCK)
                    self._own.add(number)
                    return number
            except (BlockingIOError, PermissionError):
                pass  # somebody has it
        raise Busy("another program has locked the whole file, so locks and channels cannot use it")

    def is_alive(self, number):
        if number in self._own:
            return True  # the system does not tell of one's own locks
        return number < 2**_BITS and self._control(_GET, number, fcntl.F_WRLCK) != fcntl.F_UNLCK

    def close(self):
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Memory:
    """A file that is mapped shared: a path ('/dev/shm/NAME' for named memory on Linux), or a descriptor.

    `map` is the `mmap.mmap`. All that is locked through one Memory has one owner, as with a MemoryMap of Node. After
    os.fork() the child must make its own: this one is closed there.
    """

    _all = weakref.WeakSet()

    def __init__(self, file):
        self._fd = os.dup(file) if isinstance(file, int) else os.open(file, os.O_RDWR)
        try:
            self.map = mmap.mmap(self._fd, 0)
            self._participants = _Participants(self._fd)
        except BaseException:
            os.close(self._fd)
            raise
        self._anchor = ctypes.c_char.from_buffer(self.map)  # the map cannot be closed before this is gone
        self._start = ctypes.addressof(self._anchor)
        self._owner = None
        Memory._all.add(self)

    def close(self):
        """Lets go of all locks as if this process had died. No thread may be using the memory."""
        if self._anchor is not None:
            self._leave()
            self._anchor = None
            self.map.close()
            os.close(self._fd)

    def _leave(self):
        self._start = None
        self._participants.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _address(self, offset, length, alignment):
        if self._start is None:
            raise ValueError("the memory is closed, or was opened before a fork")
        if offset % alignment != 0 or not 0 <= offset <= len(self.map) - length:
            raise ValueError(f"the offset must be a multiple of {alignment}, and the memory hold {length} bytes there")
        return self._start + offset

    def _me(self):
        if self._owner is None:
            self._owner = self._participants.join()
        return self._owner


# Only the descriptors of the child are closed: the locks stay the parent's.
os.register_at_fork(after_in_child=lambda: [memory._leave() for memory in Memory._all])


# ---- The lock of docs/memory-model.md

_CONTENDED, _TAKEN = 1, 2


def _held(me):
    return me << 2 | _TAKEN


def _try_lock(word, me, participants):
    seen = _compare_exchange(word, 0, _held(me))
    return "acquired" if seen == 0 else _inherit(word, seen, me, participants)


def _inherit(word, seen, me, participants):
    """Takes over from a dead owner. A word that no lock has written counts as free."""
    owner = seen >> 2
    if seen == 0 or owner == me or (owner != 0 and participants.is_alive(owner)):
        return None
    if _compare_exchange(word, seen, _held(me) | _CONTENDED) != seen:
        return None
    return "recovered" if seen & _TAKEN else "acquired"


def _lock(word, me, participants, patience):
    """Takes the lock; None if the time is up first."""
    if _compare_exchange(word, 0, _held(me)) == 0:
        return "acquired"
    round = 0
    while True:
        # Others may be asleep: who has slept takes the lock as contended.
        seen = _compare_exchange(word, 0, _held(me) | _CONTENDED)
        if seen == 0:
            return "acquired"
        how = _inherit(word, seen, me, participants)
        if how is not None:
            return how
        # Before it gives up: it may have got the only wake-up, and the owner must wake the next.
        contended = seen | _CONTENDED
        if seen != contended and _compare_exchange(word, seen, contended) != seen:
            continue
        if patience.is_over():
            return None
        patience.sleep(word, contended, _slice(round))
        round += 1


def _unlock(word, me):
    if _load(word) >> 2 != me:
        raise RuntimeError("the lock is not held through this memory")
    if _update(word, lambda _: 0) & _CONTENDED:
        _wake(word, 1)


class Mutex:
    """The mutex at an offset: eight bytes, aligned to eight, zero before they are used first.

    The next to lock after the death of an owner gets 'recovered'.
    """

    def __init__(self, memory, offset):
        self._memory, self._offset = memory, offset
        self._word()

    def _word(self):
        return self._memory._address(self._offset, 8, 8)

    def lock(self, timeout=None):
        """'acquired', 'recovered', or 'timed-out' after so many seconds."""
        word, me = self._word(), self._memory._me()
        if _load(word) >> 2 == me:
            raise RuntimeError("a deadlock: this memory already holds the lock")
        return _lock(word, me, self._memory._participants, _Patience(timeout)) or "timed-out"

    def try_lock(self):
        """'acquired', 'recovered', or None if another owner has it."""
        return _try_lock(self._word(), self._memory._me(), self._memory._participants)

    def unlock(self):
        _unlock(self._word(), self._memory._me())

    def __enter__(self):
        return self.lock()

    def __exit__(self, *_):
        self.unlock()


# ---- The channel of docs/channel.md

_MAGIC = int.from_bytes(b"MMAPCHAN", "little")
_VERSION = 1
_RING, _SENDERS, _HEAD, _TAIL, _RECEIVER, _FILLED, _EMPTIED, _MAKER, _DATA = 16, 64, 128, 192, 256, 320, 384, 448, 512
_HEADER, _SLACK, _SMALLEST = 16, 64, 128
_RESERVED, _COMMITTED, _SKIPPED, _PADDING = 1, 2, 3, 4
_IDLE = 0.5
_MAKING = 5


def _padded(length):
    return length + -length % 8


class Channel:
    """The channel at an offset, which `create` has made, here or in memory-map. The first to receive is the receiver."""

    def __init__(self, memory, offset=0):
        self._memory, self._offset, self._ring = memory, offset, 0
        memory._address(offset, _DATA, 64)
        if self._load(0) != _MAGIC:
            raise Damaged("there is no channel")
        version, ring = self._load(8), self._load(_RING)
        if version != _VERSION:
            raise Damaged("the channel has another version of the layout")
        if ring % 64 != 0 or not _SMALLEST <= ring <= len(memory.map) - offset - _DATA:
            raise Damaged("the channel has an impossible size, or is cut short")
        self._ring = ring
        self._me = memory._participants.join()

    @classmethod
    def create(cls, memory, offset=0, length=None):
        """Makes a channel of so many bytes, to the end of the memory if there is no length, over whatever was there."""
        return cls._make(memory, offset, length, True)

    @classmethod
    def open_or_create(cls, memory, offset=0, length=None):
        """Opens the channel that is there, or makes one if the memory is zero. All that call it get the same."""
        return cls._make(memory, offset, length, False)

    @classmethod
    def _make(cls, memory, offset, length, anew):
        length = len(memory.map) - offset if length is None else length
        if length < _DATA + _SMALLEST:
            raise ValueError(f"a channel needs {_DATA + _SMALLEST} bytes at least")
        start = memory._address(offset, length, 64)
        if anew or _load(start) == 0:
            me = memory._me()
            if _lock(start + _MAKER, me, memory._participants, _Patience(_MAKING)) is None:
                raise Busy("another process has begun to make a channel there, and does not get on")
            try:
                if anew or _load(start) == 0:
                    cls._store_head(start, (length - _DATA) // 64 * 64)
            finally:
                _unlock(start + _MAKER, me)
        return cls(memory, offset)

    @staticmethod
    def _store_head(start, ring):
        _store(start, 0)  # who opens it now finds none
        before = _load(start + _HEAD) % 2**62 // 8 * 8 + 2 * ring  # beyond what users of an earlier one remember
        for word in [_SENDERS, _RECEIVER, _FILLED, _EMPTIED]:
            _store(start + word, 0)
        for word, value in [(8, _VERSION), (_RING, ring), (_HEAD, before), (_TAIL, before), (0, _MAGIC)]:
            _store(start + word, value)
        _wake(start, _ALL)

    @property
    def max_length(self):
        """Bytes of the longest message."""
        return min((self._ring - _SLACK) // 2, 2**32 - 1)

    def _word(self, offset):
        return self._memory._address(self._offset, _DATA + self._ring, 64) + offset

    def _load(self, offset):
        return _load(self._word(offset))

    def _place(self, position):
        return _DATA + position % self._ring

    def _span(self):
        """The tail, and how many bytes are filled behind it."""
        tail, head = self._load(_TAIL), self._load(_HEAD)
        filled = (head - tail) % 2**64
        if filled > self._ring or (head | tail) % 8 != 0:
            raise Damaged("the channel is damaged")
        return tail, filled

    def _wait(self, event, patience, look):
        """Looks until there is something; sleeps meanwhile for as long as `look` says besides."""
        round = 0
        while True:
            value = _update(self._word(event), lambda seen: seen | 1) | 1  # somebody may sleep
            found, seconds = look(round)
            if found is not None or patience.is_over():
                return found
            patience.sleep(self._word(event), value, seconds)
            round += 1

    def _signal(self, event):
        value = self._load(event)
        if value & 1 and _compare_exchange(self._word(event), value, (value + 1) % 2**64) == value:
            _wake(self._word(event), _ALL)

    def send(self, message, timeout=None):
        """Sends bytes; False if there is no room within so many seconds."""
        message = bytes(message)
        if len(message) > self.max_length:
            raise ValueError(f"a message has at most {self.max_length} bytes here")
        patience = _Patience(timeout)
        if _lock(self._word(_SENDERS), self._me, self._memory._participants, patience) is None:
            return False
        try:
            # Whoever waits for room keeps the lock, so that a long message gets its turn.
            place = self._wait(_EMPTIED, patience, lambda round: (self._fits(len(message)), _slice(round)))
            if place is None:
                return False
            header = self._claim(len(message), *place)
        finally:
            _unlock(self._word(_SENDERS), self._me)
        start = self._offset + header + _HEADER
        self._memory.map[start : start + len(message)] = message
        reserved = self._me << 2 | _RESERVED
        if _compare_exchange(self._word(header), reserved, self._me << 2 | _COMMITTED) != reserved:
            raise Damaged("the channel is damaged")
        self._signal(_FILLED)
        return True

    def _fits(self, length):
        """The head, and what must be padded there, if there is room for a message."""
        tail, filled = self._span()
        head = (tail + filled) % 2**64
        need, room = _HEADER + _padded(length), _DATA + self._ring - self._place(head)
        padding = room if need > room else 0
        return (head, padding) if padding + need <= self._ring - filled else None

    def _claim(self, length, head, padding):
        if padding > 0:
            _store(self._word(self._place(head)), _PADDING)
        head += padding
        header = self._place(head)
        _store(self._word(header + 8), length << 32 | length)
        _store(self._word(header), self._me << 2 | _RESERVED)
        _store(self._word(_HEAD), (head + _HEADER + _padded(length)) % 2**64)
        return header

    def receive(self, timeout=None):
        """The next message as bytes; None if none comes within so many seconds."""
        word = self._word(_RECEIVER)
        is_receiver = _load(word) >> 2 == self._me
        if not is_receiver and _try_lock(word, self._me, self._memory._participants) is None:
            raise Busy("another process, or another channel object, is the receiver")
        found = self._wait(_FILLED, _Patience(timeout), self._look)
        if found is None:
            return None
        start, length, end = found
        message = self._memory.map[start : start + length]
        self._release(end)
        return message

    def stop_receiving(self):
        """Lets another process be the receiver."""
        word = self._word(_RECEIVER)
        if _load(word) >> 2 == self._me:
            _unlock(word, self._me)

    def _look(self, round):
        """The oldest message: where it is, its length, and where it ends. Else how long to sleep."""
        for _ in range(self._ring // 8 + 1):  # each turn goes past at least one word of the ring
            tail, filled = self._span()
            if filled == 0:
                return None, _IDLE
            header = self._place(tail)
            behind = _DATA + self._ring - header
            room = min(behind, filled)
            state = self._load(header)
            if state == _PADDING and room == behind:
                self._release((tail + room) % 2**64)
                continue
            lengths = self._load(header + 8) if room >= _HEADER else 0
            reserved, length = lengths % 2**32, lengths >> 32
            size = _HEADER + _padded(reserved)
            if size > room or length > reserved or state & 3 == 0:
                raise Damaged("the channel is damaged")
            end = (tail + size) % 2**64
            if state & 3 == _COMMITTED:
                return (self._offset + header + _HEADER, length, end), 0
            if state & 3 == _RESERVED:
                if self._memory._participants.is_alive(state >> 2):
                    return None, _slice(round)
                # Its sender is dead, but may have committed it before.
                if _compare_exchange(self._word(header), state, state | _SKIPPED) != state:
                    continue
            self._release(end)
        return None, _IDLE

    def _release(self, end):
        """Gives the room of everything before a position back."""
        before, eighth = self._load(_TAIL), self._ring // 8
        _store(self._word(_TAIL), end)
        if before // eighth != end // eighth or self._load(_HEAD) == end:
            self._signal(_EMPTIED)


# ---- The newest value of docs/latest.md

_KIND, _WRITERS, _NUMBER, _CHANGED, _FIRST_SLOT, _SLOTS, _MARKED = 0x4C01, 8, 16, 24, 64, 3, 16
_TRIES = 64


class Latest:
    """The newest value at an offset, in memory that is zero at first. All that use it must give the same length.

    `length` is how many bytes of memory it has: to the end of the memory if it is not given, and
    `Latest.byte_length_for(64)` for values of up to 64 bytes.
    """

    @staticmethod
    def byte_length_for(max_length):
        """Bytes of memory that values of up to so many bytes take."""
        return _FIRST_SLOT + _SLOTS * (_MARKED + _padded(max(1, max_length)))

    def __init__(self, memory, offset=0, length=None):
        length = len(memory.map) - offset if length is None else length
        self.max_length = min((length - _FIRST_SLOT) // _SLOTS // 8 * 8 - _MARKED, 2**32 - 8)
        if self.max_length <= 0:
            raise ValueError("a newest value needs 136 bytes at least")
        self._memory, self._offset = memory, offset
        self._is_there(claim=True)

    def _word(self, offset):
        return self._memory._address(self._offset, self.byte_length_for(self.max_length), 8) + offset

    def _load(self, offset):
        return _load(self._word(offset))

    def _is_there(self, claim=False):
        layout = self.max_length << 16 | _KIND
        seen = _compare_exchange(self._word(0), 0, layout) if claim else self._load(0)
        if seen not in (0, layout):
            raise Damaged("there is something else than a newest value, or one of another length")
        return seen != 0

    def _slot(self, number):
        return _FIRST_SLOT + number % _SLOTS * (_MARKED + self.max_length)

    @property
    def version(self):
        """How many values have been written."""
        return self._load(_NUMBER)

    def write(self, value, timeout=None):
        """Writes bytes; False if another writer was writing for so many seconds."""
        value = bytes(value)
        if len(value) > self.max_length:
            raise ValueError(f"a value has at most {self.max_length} bytes here")
        self._is_there(claim=True)
        me, writers = self._memory._me(), self._word(_WRITERS)
        if _lock(writers, me, self._memory._participants, _Patience(timeout)) is None:
            return False
        try:
            number = self._begin(value)
            _store(self._word(self._slot(number)), number)
            _store(self._word(_NUMBER), number)
        finally:
            _unlock(writers, me)
        event = self._word(_CHANGED)
        seen = _load(event)
        if seen & 1 and _compare_exchange(event, seen, (seen + 1) % 2**64) == seen:
            _wake(event, _ALL)
        return True

    def _begin(self, value):
        """Puts bytes where no reader looks yet; the number that they get."""
        number = self._load(_NUMBER) + 1
        if number >= 2**53:
            raise Damaged("the newest value is damaged")
        slot = self._slot(number)
        _store(self._word(slot), 0)
        _store(self._word(slot + 8), len(value))
        start = self._offset + slot + _MARKED
        self._memory.map[start : start + len(value)] = value
        return number

    def read(self):
        """The newest value; None before the first."""
        before = None
        for _ in range(_TRIES if self._is_there() else 0):
            number = self.version
            if number == 0:
                return None
            # A slot that is not what the number says belongs to a later one by now.
            if number == before:
                raise Damaged("the newest value is damaged")
            before, slot = number, self._slot(number)
            if self._load(slot) != number:
                continue
            length = self._load(slot + 8)
            start = self._offset + slot + _MARKED
            value = self._memory.map[start : start + min(length, self.max_length)]
            if self._load(slot) != number:
                continue
            if length > self.max_length:
                raise Damaged("the newest value is damaged")
            return value
        if before is None:
            return None
        return self._read_alone()

    def _read_alone(self):
        """The same while nobody writes."""
        me, writers = self._memory._me(), self._word(_WRITERS)
        if _lock(writers, me, self._memory._participants, _Patience(_MAKING)) is None:
            raise Busy("values are written faster than one can be copied")
        try:
            slot = self._slot(self.version)
            length = min(self._load(slot + 8), self.max_length)
            start = self._offset + slot + _MARKED
            return self._memory.map[start : start + length]
        finally:
            _unlock(writers, me)

    def wait(self, version, timeout=None):
        """Waits until the version is another one; False if the time is up first."""
        patience, event = _Patience(timeout), self._word(_CHANGED)
        while True:
            value = _update(event, lambda seen: seen | 1) | 1
            if self.version != version:
                return True
            if patience.is_over():
                return False
            patience.sleep(event, value, _IDLE)
