// Bun.mmap: a Uint8Array that only the collector unmaps.

export function map(file) {
  const bytes = Bun.mmap(file)
  return { buffer: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), close() {} }
}
