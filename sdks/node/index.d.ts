export const VERSION: string;

export interface Options {
  /** The server's address; http://127.0.0.1:8000 */
  url?: string;
  /** Ask for the project's flags and sample rate, and heed the rate; false. */
  config?: boolean;
  /** So many events leave at once; 100. */
  flushAt?: number;
  /** Fewer leave after this time; 1,000. */
  flushIntervalMs?: number;
  /** Events kept while the server does not take them; beyond it the newest are refused; 10,000. */
  maxQueue?: number;
  timeoutMs?: number;
  retryBaseMs?: number;
  retryCapMs?: number;
  /** A stream on which nothing was heard for so long is opened again; 45,000. */
  watchdogMs?: number;
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
  /** Behind which id to begin: the `cursor` of an earlier subscription; without it, from now on. */
  cursor?: string | null;
  /** The changes before `oldest` are gone: read the members anew. */
  onReset?: (oldest: number, head: number) => void;
}

export interface Subscription {
  readonly cursor: string | null;
  close(): Promise<void>;
}

export class Persona {
  constructor(key: string, options?: Options);
  /** False when the event was given up at once (`onDrop` hears why). */
  track(event: string, properties?: Record<string, unknown>, more?: More): boolean;
  identify(userId: string, traits?: Record<string, unknown>, more?: More): boolean;
  page(name: string, properties?: Record<string, unknown>, more?: More): boolean;
  alias(userId: string, previousId: string, more?: More): boolean;
  /** True when everything that waits now was taken, or refused for good, within the time. */
  flush(milliseconds?: number): Promise<boolean>;
  subscribe(filter: Filter, callback: (change: Change) => void): Subscription;
  flags(): Flags;
  /** The next key of a rotation: what waits goes out with it at once. */
  setKey(key: string): void;
  close(milliseconds?: number): Promise<void>;
}
