export interface Options {
  /** The server's address; where the script came from. */
  url?: string;
  /** So many events leave at once; 20. */
  flushAt?: number;
  /** Fewer leave after this time; what the project's settings say. */
  flushIntervalMs?: number;
  /** Events kept while the server does not take them; beyond it the newest are refused; 1,000. */
  maxQueue?: number;
  timeoutMs?: number;
  retryBaseMs?: number;
  retryCapMs?: number;
  watchdogMs?: number;
  /** "wait": until optIn() nothing is sent, and nothing is left on the device. A decision that was made wins. */
  consent?: "granted" | "wait" | "denied";
  /** Heed Do Not Track and Global Privacy Control. */
  doNotTrack?: boolean;
  /** An event was given up. */
  onDrop?: (event: string, code: string) => void;
  /** Something an operator should know, such as a refused key; the events are kept. */
  onError?: (code: string) => void;
  onFlags?: (flags: Flags) => void;
}

export type Flags = Record<string, unknown>;

export interface More {
  userId?: string;
  anonymousId?: string;
  messageId?: string;
  /** A string is taken as it is; without one, now. */
  timestamp?: Date | string;
  context?: Record<string, unknown>;
}

export interface Change {
  seq: number;
  profile: string;
  persona: string;
  op: "enter" | "leave";
  [more: string]: unknown;
}

export interface Filter {
  /** All, if none is named. */
  personas?: string[];
  /** Behind which id to begin where this tab has no place from before; without either, from now on. */
  cursor?: string | null;
  /** The changes before `oldest` are gone: read the members anew. */
  onReset?: (oldest: number, head: number) => void;
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
  subscribe(filter: Filter, callback: (change: Change) => void): Subscription | undefined;
  flags(): Flags | undefined;
  setKey(key: string): void;
  optIn(): void;
  optOut(): void;
  close(milliseconds?: number): Promise<void> | undefined;
}

export const persona: Persona;
export default persona;
