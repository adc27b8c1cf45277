// The tests that need more installed than `npm test` does: `npm run test:package`, `test:libraries` and `test:examples`.

import { readFileSync } from 'node:fs'

const { ava } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

export default { ...ava, files: ['package', 'libraries', 'examples'].map((name) => `__test__/${name}/*.spec.ts`) }
