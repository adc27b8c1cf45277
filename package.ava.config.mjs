// The tests that need more installed than `npm test` does: `npm run test:package`, `test:libraries`, `test:examples` and `test:cli`.

import { readFileSync } from 'node:fs'

const { ava } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

export default {
  ...ava,
  files: ['package', 'libraries', 'examples', 'cli'].map((name) => `__test__/${name}/*.spec.ts`),
}
