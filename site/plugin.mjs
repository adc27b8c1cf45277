// Names pages by their first headings, and modules as they are imported; groups the pages by their folders, those of docs/ in
// the order of its README; shows classes without their parent, which is not exported; has wide tables scroll by themselves;
// fails for a link to a page that was not seen to be one.

import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Application, Converter, PageEvent, ReflectionKind } from 'typedoc'

const root = fileURLToPath(new URL('../', import.meta.url))
const docs = `${root}docs`
const contents = readFileSync(`${docs}/README.md`, 'utf8')
const modules = { index: 'memory-map', sync: 'memory-map/sync' }
const groups = { docs: 'Guides', examples: 'Examples' }

/** The parent of most classes (lib/handle.ts). */
const PARENT = 'Handle'

/** What typedoc calls when it loads this. */
export function load(app) {
  const { converter, logger, options, renderer } = app
  app.on(Application.EVENT_BOOTSTRAP_END, () => options.setValue('markdownItLoader', wrapTables))
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
    const ranks = new Map(project.documents?.map((page) => [page, rankOf(project.files.getReflectionPath(page))]))
    project.childrenIncludingDocuments?.sort((one, other) => (ranks.get(one) ?? -1) - (ranks.get(other) ?? -1))
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
  renderer.on(PageEvent.END, ({ url, contents: page = '' }) => {
    for (const [, link] of page.matchAll(/ (?:href|src)="(?![a-z]+:|(?:\.\.\/)*media\/)([^"]+\.md[#"])/g))
      logger.error(`${url} has a link that is not one of the site: ${link}`)
  })
  let isWarm = false
  renderer.on(PageEvent.BEGIN, ({ project }) => {
    if (isWarm) return
    isWarm = true
    warmUp(renderer.markedPlugin, project.readme.map(({ text }) => text).join(''))
  })
}

/** A keyboard can scroll what has the focus. */
function wrapTables({ renderer: { rules } }) {
  rules.table_open = () => '<div class="wide" tabindex="0"><table>'
  rules.table_close = () => '</table></div>'
}

/** Where docs/README.md names a page first; others are after those. */
function rankOf(path) {
  const name = relative(docs, path)
  if (name === 'README.md') return -1
  const index = contents.indexOf(`](${name})`)
  return index < 0 ? Infinity : index
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
