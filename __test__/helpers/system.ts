// Which system the tests run on.

import { existsSync } from 'node:fs'

export const isLinux = process.platform === 'linux'
export const isWindows = process.platform === 'win32'

/** Whether addresses have 32 bits. */
export const is32Bit = process.arch === 'arm' || process.arch === 'ia32'

/** Wine does not do all that Windows does. */
export const isWine = isWindows && existsSync('C:\\windows\\system32\\winecfg.exe')
