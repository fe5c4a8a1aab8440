export interface Options extends SharedOptions {
  /** The server's address; where the script came from. */
  url?: string;
  /** So many events leave at once; 20. */
  flushAt?: number;
  /** Fewer leave after this time; what the project's settings say. */
  flushIntervalMs?: number;
  /** "wait": until optIn() nothing is sent, and nothing is left on the device. A decision that was made wins. */
  consent?: "granted" | "wait" | "denied";
  /** Heed Do Not Track and Global Privacy Control. */
  doNotTrack?: boolean;
}

export interface Subscription {
  close(): Promise<void>;
}

/** Before init() every call is kept, and made then. */
export interface Persona {
  readonly version: string;
  init(key: string, options?: Options): Persona;
  /** False when the event was given up at once (`onDrop` hears why). */
  track(event: string, properties?: Record<string, unknown>, more?: More): boolean | undefined;
  identify(userId: string, traits?: Record<string, unknown>, more?: More): boolean | undefined;
  page(name?: string, properties?: Record<string, unknown>, more?: More): boolean | undefined;
  alias(userId: string, previousId?: string, more?: More): boolean | undefined;
  /** Somebody else sits here now: forgets user and anonymous id. */
  reset(): void;
  flush(milliseconds?: number): Promise<boolean> | undefined;
  /** Keeps its place for the life of the tab, across page loads. */
  subscribe(filter: Filter, callback: (change: Change) => void | Promise<void>): Subscription | undefined;
  flags(): Flags | undefined;
  setKey(key: string): void;
  optIn(): void;
  optOut(): void;
  close(milliseconds?: number): Promise<void> | undefined;
}

export const persona: Persona;
export default persona;
