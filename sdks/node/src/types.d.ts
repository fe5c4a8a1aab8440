export const VERSION: string;

export interface Options extends SharedOptions {
  /** The server's address; http://127.0.0.1:8000 */
  url?: string;
  /** Ask for the project's flags and sample rate, and heed the rate; false. */
  config?: boolean;
  /** So many events leave at once; 100. */
  flushAt?: number;
  /** Fewer leave after this time; 1,000. */
  flushIntervalMs?: number;
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
  subscribe(filter: Filter, callback: (change: Change) => void | Promise<void>): Subscription;
  flags(): Flags;
  /** The next key of a rotation: what waits goes out with it at once. */
  setKey(key: string): void;
  close(milliseconds?: number): Promise<void>;
}
