// The tests of the tarballs, which `npm run test:package` runs: those of package.json's "ava" need no tarballs.

import { readFileSync } from 'node:fs'

const { ava } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

export default { ...ava, files: ['__test__/package/*.spec.ts'] }
