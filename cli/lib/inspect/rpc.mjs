// Requests to a server: docs/rpc.md. What they consist of are channels.

const HEADER = 128
const AT = { version: 8, channel: 16, clients: 24 }

/** @param channels those of the memory, among which are those for requests and replies */
export function rpcsOf(memory, channels) {
  return memory
    .occurrences(Buffer.from('MMAP-RPC'), 64)
    .map((offset) => rpcAt(memory, offset, channels))
    .filter((rpc) => rpc !== undefined)
}

/** An Rpc, or undefined if those bytes are not the start of one. */
function rpcAt(memory, offset, channels) {
  if (offset + HEADER > memory.length) return undefined
  const [version, each, clients] = [AT.version, AT.channel, AT.clients].map((at) => Number(memory.word(offset + at)))
  if (version !== 1) return { offset, length: HEADER, version }
  const length = HEADER + each * (1 + clients)
  if (each < 640 || each % 64 !== 0 || clients < 1 || offset + length > memory.length) return undefined
  const own = channels.filter((channel) => channel.offset >= offset + HEADER && channel.offset < offset + length)
  const requests = own.find((channel) => channel.offset === offset + HEADER)
  const receivers = own.filter((channel) => channel !== requests).map(({ receiver }) => receiver)
  return {
    offset,
    length,
    version,
    maxClients: clients,
    server: requests?.receiver,
    requests: requests?.messages,
    clients: receivers.filter((receiver) => receiver !== undefined),
  }
}
