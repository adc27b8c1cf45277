// Names pages by their first headings, and modules as they are imported; groups the pages by their folders; shows classes
// without their parent, which is not exported.

import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Converter, PageEvent, ReflectionKind } from 'typedoc'

const root = fileURLToPath(new URL('../', import.meta.url))
const modules = { index: 'memory-map', sync: 'memory-map/sync' }
const groups = { docs: 'Guides', examples: 'Examples' }

/** The parent of most classes (lib/handle.ts). */
const PARENT = 'Handle'

/** What typedoc calls when it loads this. */
export function load({ converter, renderer }) {
  converter.on(Converter.EVENT_CREATE_DOCUMENT, (_, page) => {
    const [, heading] = /^# (.+)$/m.exec(page.content.map(({ text }) => text).join('')) ?? []
    if (heading !== undefined) page.name = heading.replaceAll('`', '')
  })
  converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const child of project.children ?? []) child.name = modules[child.name] ?? child.name
    for (const page of project.documents ?? []) {
      const [folder] = relative(root, project.files.getReflectionPath(page)).split(/[\\/]/)
      page.frontmatter.group = groups[folder] ?? 'Project'
    }
  })
  converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const member of project.getReflectionsByKind(ReflectionKind.ClassMember)) {
      if (member.name === '[custom]') project.removeReflection(member) // `util.inspect` calls it
    }
    for (const { extendedTypes } of project.getReflectionsByKind(ReflectionKind.Class)) removeParent(extendedTypes)
  })
  converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    for (const member of Object.values(project.reflections)) {
      for (const link of ['inheritedFrom', 'overwrites'])
        if (member[link]?.name.startsWith(`${PARENT}.`)) delete member[link]
    }
  })
  let isWarm = false
  renderer.on(PageEvent.BEGIN, ({ project }) => {
    if (isWarm) return
    isWarm = true
    warmUp(renderer.markedPlugin, project.readme.map(({ text }) => text).join(''))
  })
}

function removeParent(types = []) {
  const index = types.findIndex(({ name }) => name === PARENT)
  if (index >= 0) types.splice(index, 1)
}

/**
 * Highlights code until that gives the same twice. The highlighter compiles its patterns when it needs them, and gives a
 * line up that takes it half a second: on a busy machine the first ones had a wrong colour.
 */
function warmUp(marked, text) {
  for (const [, language, code] of text.matchAll(/^```(js|ts|sh)\n(.*?)^```$/gms)) {
    let [before, now] = [undefined, marked.getHighlighted(code, language)]
    while (now !== before) [before, now] = [now, marked.getHighlighted(code, language)]
  }
}
