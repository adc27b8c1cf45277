// The tests that need more installed than `npm test` does: `npm run test:package` and `npm run test:libraries`.

import { readFileSync } from 'node:fs'

const { ava } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

export default { ...ava, files: ['__test__/package/*.spec.ts', '__test__/libraries/*.spec.ts'] }
