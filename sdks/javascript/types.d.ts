export interface SharedOptions {
  /** Events kept while the server does not take them; beyond it the newest are refused; 10,000, in a browser 1,000. */
  maxQueue?: number;
  /** Their bytes as JSON, likewise; 32 MB, in a browser 4 MB. */
  maxQueueBytes?: number;
  /** Of one request; 10,000. All times are in milliseconds. */
  timeoutMs?: number;
  /** Pauses after failures double from here, each by chance between nothing and that; 500. */
  retryBaseMs?: number;
  /** Up to here; 30,000. */
  retryCapMs?: number;
  /** A stream on which nothing was heard for so long is opened again; 45,000. */
  watchdogMs?: number;
  /** An event was given up. */
  onDrop?: (event: string, code: string) => void;
  /** Something an operator should know, such as a refused key; the events are kept. */
  onError?: (code: string) => void;
  /** The project's flags, at first and with every change. */
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
  /** Behind which id to begin where there is no place from before; without either, from now on. */
  cursor?: string | null;
  /** The changes before `oldest` are gone: read the members anew. */
  onReset?: (oldest: number, head: number) => void | Promise<void>;
}
