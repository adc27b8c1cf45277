/** What a mapping is called; never used twice. */
export type Token = number

/** What a function returns that throws the errors of the core. */
export type Outcome<T> = T

/** What stands for an object of the core. Functions take it; JavaScript can only keep it. */
export interface Native<T> {
  readonly of: T
}
export type NativeBarrier = Native<'Barrier'>
export type NativeBroadcast = Native<'Broadcast'>
export type NativeChannel = Native<'Channel'>
export type NativeCondition = Native<'Condition'>
export type NativeEvent = Native<'Event'>
export type NativeLatest = Native<'Latest'>
export type NativeMutex = Native<'Mutex'>
export type NativeQueue = Native<'Queue'>
export type NativeReceiver = Native<'BroadcastReceiver'>
export type NativeRwLock = Native<'RwLock'>
export type NativeSemaphore = Native<'Semaphore'>
