export * from './sync.cjs'
