"""What mmap costs in Python: limits.py open FILE MILLISECONDS, with the answer of limits.c."""

import json
import mmap
import sys
import time

_, what, file, limit = sys.argv
assert what == "open"
end = time.perf_counter() + float(limit) / 1e3
times = []
while time.perf_counter() < end and len(times) < 100_000:
    start = time.perf_counter()
    with open(file, "rb", buffering=0) as handle, mmap.mmap(handle.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        mapped[8:16]
    times.append((time.perf_counter() - start) * 1e6)
print(json.dumps({"time": times}))
