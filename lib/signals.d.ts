/**
 * Has the guard's handlers put back each time that listeners for their signals come or go: the runtime sets its own
 * handler then, and the default action after the last listener.
 */
export declare function watchListeners(): void;
