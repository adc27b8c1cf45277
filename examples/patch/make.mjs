// Writes program.bin, and fix.txt, which is a patch for it.

import { writeFileSync } from 'node:fs'

const program = Buffer.alloc(2 ** 20, 0x90)
program.write('version 1.0', 4096)
writeFileSync('program.bin', program)
writeFileSync('fix.txt', '0x1f4: 90 90 -> eb 05\n0x1008: 31 2e 30 -> 31 2e 31\n')
console.log('program.bin, fix.txt')
