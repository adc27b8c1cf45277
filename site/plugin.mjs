// Calls pages as their first headings do, and modules as they are imported.

import { Converter } from 'typedoc'

const modules = { index: 'memory-map', sync: 'memory-map/sync' }

/** What typedoc calls when it loads this. */
export function load({ converter }) {
  converter.on(Converter.EVENT_CREATE_DOCUMENT, (_, page) => {
    const [, heading] = /^# (.+)$/m.exec(page.content.map(({ text }) => text).join('')) ?? []
    if (heading !== undefined) page.name = heading.replaceAll('`', '')
  })
  converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const child of project.children ?? []) child.name = modules[child.name] ?? child.name
  })
}
