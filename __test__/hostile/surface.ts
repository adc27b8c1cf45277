// What users can call, with the types of all parameters and results, as the generated declarations have it. The result is
// plain data, for scripts on other runtimes.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import type {
  ClassDeclaration,
  ClassElement,
  InterfaceDeclaration,
  Node,
  ParameterDeclaration,
  SourceFile,
  TypeNode,
  TypeParameterDeclaration,
} from 'typescript/unstable/ast'
import { SyntaxKind } from 'typescript/unstable/ast'
import { API } from 'typescript/unstable/sync'

export type Type =
  | { is: 'primitive'; name: string }
  | { is: 'literal'; value: string | number | boolean | null }
  | { is: 'union'; of: Type[] }
  | { is: 'object'; properties: Property[] }
  | { is: 'array'; of: Type }
  | { is: 'function' }
  | { is: 'named'; name: string; of: Type[] }

export type Property = { name: string; type: Type }
export type Parameter = { name: string; types: Type }

export type Operation = {
  module: string
  /** The class, if it is a member of one. */
  owner: string | undefined
  /** `[Symbol.dispose]` is called so. */
  name: string
  kind: 'function' | 'method' | 'static' | 'get' | 'set' | 'constructor' | 'value' | 'constant' | 'field'
  parameters: Parameter[]
  result: Type
}

const root = new URL('../../', import.meta.url)

/** Everything that the package's modules export and that is there when a program runs. */
export function surface(): Operation[] {
  const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { exports: object }
  // Of each entry point: './sync' is declared in sync.d.cts.
  const modules = Object.keys(manifest.exports)
    .filter((name) => !name.endsWith('.json'))
    .map((name) => name.replace(/^\.\/?/, '') || 'index')
  const files = modules.map((name) => fileURLToPath(new URL(`${name}.d.cts`, root)))
  const api = new API({ cwd: fileURLToPath(root) })
  try {
    const snapshot = api.updateSnapshot({ openFiles: files })
    return files.flatMap((file, i) => {
      const source = snapshot.getDefaultProjectForFile(file)?.program.getSourceFile(file)
      if (source === undefined) throw new Error(`${file} cannot be parsed`)
      return new Declarations(source, modules[i]!).operations()
    })
  } finally {
    api.close()
  }
}

class Declarations {
  readonly #types = new Map<string, any>()
  readonly #classes = new Map<string, ClassDeclaration>()
  /** What the type parameters that are in scope may be at most. */
  #bounds: ReadonlyMap<string, Type> = new Map()
  readonly #source: SourceFile
  readonly #module: string

  constructor(source: SourceFile, module: string) {
    this.#source = source
    this.#module = module
    for (const statement of source.statements as readonly any[]) {
      if (isA(statement, 'InterfaceDeclaration', 'TypeAliasDeclaration'))
        this.#types.set(this.#text(statement.name), statement)
      if (isA(statement, 'ClassDeclaration')) this.#classes.set(this.#text(statement.name!), statement)
    }
  }

  operations(): Operation[] {
    const exported = this.#exported()
    const found: Operation[] = []
    const add = (operation: Omit<Operation, 'module'>) => found.push({ module: this.#module, ...operation })
    for (const statement of this.#source.statements as readonly any[]) {
      if (isA(statement, 'FunctionDeclaration')) {
        const name = this.#text(statement.name)
        if (!exported.delete(name) && !found.some((known) => known.name === name)) continue
        const parameters = this.#parameters(statement.parameters)
        add({ owner: undefined, name, kind: 'function', parameters, result: this.#type(statement.type) })
      } else if (isA(statement, 'ClassDeclaration')) {
        const name = this.#text(statement.name)
        if (!exported.delete(name)) continue
        for (const member of this.#members(statement)) add({ owner: name, ...this.#member(member, name) })
      } else if (isA(statement, 'VariableStatement')) {
        for (const { name, type } of statement.declarationList.declarations) {
          if (!exported.delete(this.#text(name))) continue
          const result = this.#type(type)
          add({ owner: undefined, name: this.#text(name), kind: 'value', parameters: [], result })
        }
      }
    }
    if (exported.size > 0) throw new Error(`${this.#module} exports what nothing here covers: ${[...exported]}`)
    return withoutOverloads(found)
  }

  /** The names of what is exported, but for types. */
  #exported(): Set<string> {
    const names = new Set<string>()
    for (const statement of this.#source.statements as readonly any[]) {
      if (isA(statement, 'ExportDeclaration')) {
        for (const { name, isTypeOnly } of statement.exportClause.elements) if (!isTypeOnly) names.add(this.#text(name))
      } else if (statement.modifiers?.some((modifier: Node) => isA(modifier, 'ExportKeyword'))) {
        throw new Error(`An export of another form than "export { … }": ${this.#text(statement)}`)
      }
    }
    return names
  }

  /** A class's members, with those of the classes of this module that it extends. */
  #members(declaration: ClassDeclaration): ClassElement[] {
    const own = declaration.members.filter((member) => !this.#nameOf(member).startsWith('#'))
    const names = own.map((member) => this.#nameOf(member))
    const bases = (declaration.heritageClauses ?? []).flatMap((clause): readonly any[] => clause.types)
    const inherited = bases.flatMap((base) => {
      const parent = this.#classes.get(this.#text(base.expression))
      return parent ? this.#members(parent) : []
    })
    return [...own, ...inherited.filter((member) => !names.includes(this.#nameOf(member)))]
  }

  #nameOf(member: any): string {
    return member.name ? this.#text(member.name) : 'constructor'
  }

  #member(member: any, owner: string): Omit<Operation, 'module' | 'owner'> {
    const isStatic = member.modifiers?.some((modifier: Node) => isA(modifier, 'StaticKeyword')) === true
    const of = { name: this.#nameOf(member), parameters: this.#parameters(member.parameters ?? []) }
    switch (SyntaxKind[member.kind]) {
      case 'Constructor':
        return { ...of, kind: 'constructor', result: { is: 'named', name: owner, of: [] } }
      case 'MethodDeclaration':
        return { ...of, kind: isStatic ? 'static' : 'method', result: this.#type(member.type) }
      case 'GetAccessor':
        return { ...of, kind: 'get', result: this.#type(member.type) }
      case 'SetAccessor':
        return { ...of, kind: 'set', result: { is: 'primitive', name: 'void' } }
      case 'PropertyDeclaration':
        if (member.type) return { ...of, kind: isStatic ? 'constant' : 'field', result: this.#type(member.type) }
        return {
          ...of,
          kind: isStatic ? 'constant' : 'field',
          result: { is: 'literal', value: literal(this.#text(member.initializer)) },
        }
      default:
        throw new Error(`A member of a kind that nothing here covers: ${this.#text(member)}`)
    }
  }

  #parameters(parameters: readonly ParameterDeclaration[]): Parameter[] {
    return parameters.map((parameter) => {
      if (parameter.dotDotDotToken) throw new Error(`Nothing here covers rest parameters: ${this.#text(parameter)}`)
      return { name: this.#text(parameter.name), types: this.#type(parameter.type) }
    })
  }

  #type(node: TypeNode | undefined, known: readonly string[] = []): Type {
    const type = node as any
    const kind = node === undefined ? 'AnyKeyword' : SyntaxKind[node.kind]
    switch (kind) {
      case 'UnionType':
        return union(type.types.map((part: TypeNode) => this.#type(part, known)))
      case 'IntersectionType': {
        const parts: Type[] = type.types.map((part: TypeNode) => this.#type(part, known))
        return { is: 'object', properties: parts.flatMap((part) => (part.is === 'object' ? part.properties : [])) }
      }
      case 'TypeLiteral':
        return { is: 'object', properties: this.#properties(type.members, known) }
      case 'LiteralType':
        return { is: 'literal', value: literal(this.#text(type)) }
      case 'ParenthesizedType':
      case 'TypeOperator':
        return this.#type(type.type, known)
      case 'ArrayType':
        return { is: 'array', of: this.#type(type.elementType, known) }
      case 'FunctionType':
        return { is: 'function' }
      case 'TypeReference':
        return this.#reference(type, known)
      default:
        if (!kind?.endsWith('Keyword')) throw new Error(`Nothing here covers the type ${this.#text(type)}`)
        return { is: 'primitive', name: kind.replace('Keyword', '').toLowerCase() }
    }
  }

  #reference(type: any, known: readonly string[]): Type {
    const name = this.#text(type.typeName)
    const bound = this.#bounds.get(name)
    if (bound !== undefined) return bound
    const args: TypeNode[] = [...(type.typeArguments ?? [])]
    const of = () => args.map((argument) => this.#type(argument, known))
    if (name === 'Readonly') return this.#type(args[0], known)
    if (name === 'Pick' || name === 'Omit') {
      const whole = this.#type(args[0], known)
      const names = this.#text(args[1]!)
      const has = (property: Property) => names.includes(`'${property.name}'`) === (name === 'Pick')
      if (whole.is === 'object') return { is: 'object', properties: whole.properties.filter(has) }
    }
    const declared: any = this.#types.get(name)
    const isGeneric = (declared?.typeParameters as readonly TypeParameterDeclaration[] | undefined)?.length
    if (!declared || known.includes(name)) return { is: 'named', name, of: known.includes(name) ? [] : of() }
    if (isA(declared, 'TypeAliasDeclaration')) {
      return isGeneric ? { is: 'named', name, of: [] } : this.#type(declared.type, [...known, name])
    }
    // A constructor or a function is no options object.
    const members = declared.members as readonly Node[]
    if (members.some((member) => !isA(member, 'PropertySignature'))) return { is: 'named', name, of: of() }
    return { is: 'object', properties: this.#interface(declared, [...known, name]) }
  }

  /** What the parameters of an interface may be at most, while its properties are read. */
  #withBounds<T>(declared: InterfaceDeclaration, known: readonly string[], read: () => T): T {
    const before = this.#bounds
    const bounds = (declared.typeParameters ?? []).flatMap((parameter): [string, Type][] =>
      parameter.constraint ? [[this.#text(parameter.name), this.#type(parameter.constraint, known)]] : [],
    )
    this.#bounds = new Map([...before, ...bounds])
    try {
      return read()
    } finally {
      this.#bounds = before
    }
  }

  #interface(declared: InterfaceDeclaration, known: readonly string[]): Property[] {
    const bases = (declared.heritageClauses ?? []).flatMap((clause): readonly any[] => clause.types)
    const inherited = bases.flatMap((base) => {
      const parent = this.#types.get(this.#text(base.expression))
      return parent && isA(parent, 'InterfaceDeclaration') ? this.#interface(parent, known) : []
    })
    return [...inherited, ...this.#withBounds(declared, known, () => this.#properties(declared.members, known))]
  }

  #properties(members: readonly any[], known: readonly string[]): Property[] {
    return members.map(({ name, type, questionToken }) => {
      const always = this.#type(type, known)
      const isComplete = !questionToken || (always.is === 'union' && always.of.some((part) => isUndefined(part)))
      return { name: this.#text(name), type: isComplete ? always : union([always, UNDEFINED]) }
    })
  }

  #text(node: Node): string {
    return node.getText(this.#source)
  }
}

function isA(node: Node, ...kinds: string[]): boolean {
  // By numbers, some of which have several names.
  return kinds.some((kind) => SyntaxKind[kind as keyof typeof SyntaxKind] === node.kind)
}

function literal(text: string): string | number | boolean | null {
  return JSON.parse(text.replaceAll("'", '"')) as string | number | boolean | null
}

const UNDEFINED: Type = { is: 'primitive', name: 'undefined' }

function isUndefined(type: Type): boolean {
  return type.is === 'primitive' && type.name === 'undefined'
}

function union(types: Type[]): Type {
  return { is: 'union', of: types.flatMap((type) => (type.is === 'union' ? type.of : [type])) }
}

/** Overloads as one: with all parameters that one of them has, and all types of each. */
function withoutOverloads(operations: Operation[]): Operation[] {
  const merged = new Map<string, Operation>()
  for (const operation of operations) {
    const key = [operation.owner, operation.kind === 'set' ? 'set' : '', operation.name].join(' ')
    const before = merged.get(key)
    if (before === undefined) {
      merged.set(key, operation)
      continue
    }
    const [longer, shorter] =
      operation.parameters.length > before.parameters.length ? [operation, before] : [before, operation]
    const parameters = longer.parameters.map(({ name, types }, i) => {
      const other = shorter.parameters[i]
      return { name, types: other ? union([types, other.types]) : types }
    })
    merged.set(key, { ...before, parameters, result: union([before.result, operation.result]) })
  }
  return [...merged.values()]
}
