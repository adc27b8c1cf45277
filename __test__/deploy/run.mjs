// Deploys programs and runs tests that use the packed tarballs, with every tool at hand; prints a row for each.
//
//     npm run test:deploy              all
//     npm run test:deploy -- webpack   those whose names have this
//
// `npm run release -- --dry-run` makes the tarballs. Ends with 1 where one fails.

import { deployments } from './deployments.mjs'
import { installers } from './installers.mjs'
import { expected } from './project.mjs'
import { runners } from './runners.mjs'

const asked = process.argv.slice(2)
let failed = 0
for (const [kind, all] of Object.entries({ deployed: deployments, tested: runners, installed: installers })) {
  for (const [name, attempt] of Object.entries(all)) {
    if (asked.length > 0 && !asked.some((part) => name.toLowerCase().includes(part.toLowerCase()))) continue
    try {
      const outputs = [await attempt()].flat()
      if (!outputs.every((output) => output.includes(kind === 'tested' ? '' : expected)))
        throw new Error(outputs.join('\n'))
      console.log(`ok      ${kind} ${name}`)
    } catch (error) {
      failed++
      console.log(`FAILED  ${kind} ${name}\n${String(error.message).replaceAll(/^/gm, '        ')}`)
    }
  }
}
process.exit(failed === 0 ? 0 : 1)
