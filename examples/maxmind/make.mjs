// Writes countries.mmdb: a database of a few networks, in the format of MaxMind's GeoLite2 files (version 2.0).

import { writeFileSync } from 'node:fs'

const NETWORKS = {
  '192.0.2.0/24': { country: { iso_code: 'AQ', names: { en: 'Antarctica' } } },
  '198.51.100.0/25': { country: { iso_code: 'IS', names: { en: 'Iceland' } } },
  '198.51.100.128/25': { country: { iso_code: 'NO', names: { en: 'Norway' } } },
  '203.0.113.64/26': { country: { iso_code: 'TO', names: { en: 'Tonga' } } },
}

/** A value of the data section: maps, arrays, strings and numbers of 32 bits. */
function encode(value) {
  if (typeof value === 'string') return Buffer.concat([head(2, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(value)
    return Buffer.concat([head(6, 4), bytes])
  }
  if (Array.isArray(value)) return Buffer.concat([head(11, value.length), ...value.map(encode)])
  const entries = Object.entries(value)
  return Buffer.concat([head(7, entries.length), ...entries.flat().map(encode)])
}

/** What kind of value follows, and its size: types from 8 on have a second byte. */
function head(type, size) {
  return type < 8 ? Buffer.of((type << 5) | size) : Buffer.of(size, type - 7)
}

// The tree: a node for each bit of an address, with a way for 0 and one for 1, which is a node or a place in the data.
const nodes = [[]]
const data = []
let dataLength = 0
for (const [network, value] of Object.entries(NETWORKS)) {
  const [address, bits] = network.split('/')
  const word = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)
  let node = nodes[0]
  for (let bit = 0; bit < bits - 1; bit++) {
    const way = (word >>> (31 - bit)) & 1
    if (node[way] === undefined) node[way] = nodes.push([]) - 1
    node = nodes[node[way]]
  }
  node[(word >>> (32 - bits)) & 1] = { at: dataLength }
  dataLength += data[data.push(encode(value)) - 1].length
}

const tree = Buffer.alloc(nodes.length * 8)
for (const [index, node] of nodes.entries()) {
  for (const way of [0, 1]) {
    const to = node[way] ?? nodes.length // nothing is known
    tree.writeUInt32BE(typeof to === 'number' ? to : nodes.length + 16 + to.at, index * 8 + way * 4)
  }
}

const about = {
  binary_format_major_version: 2,
  binary_format_minor_version: 0,
  build_epoch: 1_700_000_000,
  database_type: 'Example-Country',
  description: { en: 'Addresses of RFC 5737' },
  ip_version: 4,
  languages: ['en'],
  node_count: nodes.length,
  record_size: 32,
}
const marker = Buffer.from('\u00ab\u00cd\u00efMaxMind.com', 'latin1')
writeFileSync('countries.mmdb', Buffer.concat([tree, Buffer.alloc(16), ...data, marker, encode(about)]))
console.log(`countries.mmdb: ${Object.keys(NETWORKS).length} networks`)
