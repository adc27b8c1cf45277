// The tests that need more than `npm test` does: `npm run test:package`, `test:libraries`, `test:examples`, `test:cli` and `test:overcommit`.

import { readFileSync } from 'node:fs'

const { ava } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

export default {
  ...ava,
  files: ['package', 'libraries', 'examples', 'cli', 'overcommit'].map((name) => `__test__/${name}/*.spec.ts`),
}
