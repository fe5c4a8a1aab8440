// What the server sets, and what an application may set (times in milliseconds).
export const MOST_EVENTS = 256;
export const MOST_BYTES = 1_000_000;
export const MOST_EVENT_BYTES = 102_400;
export const MOST_ANSWER = 1 << 20; // letters of an answer, or of a frame, that are read
export const INGEST = "/api/v2/pipeline/ingest";
export const STREAM = "/api/v2/pipeline/stream";
export const CONFIG = "/api/v2/pipeline/config";

export const DEFAULTS = {
  flushAt: 100, flushIntervalMs: 1000, maxQueue: 10_000, maxQueueBytes: 32 << 20,
  timeoutMs: 10_000, retryBaseMs: 500, retryCapMs: 30_000, watchdogMs: 45_000,
};
