# Squares the doubles in the memory that is descriptor 3: with NumPy, or slowly without it.

import mmap

memory = mmap.mmap(3, 0)
try:
    import numpy

    numbers = numpy.frombuffer(memory, dtype="<f8")
    numpy.square(numbers, out=numbers)
    how = "NumPy"
except ImportError:
    numbers = memoryview(memory).cast("d")
    for at in range(len(numbers)):
        numbers[at] *= numbers[at]
    how = "memoryview"
print(f"Python squared {len(numbers)} numbers with {how}", flush=True)
