import { Config, share } from "./config.js";
import { Http } from "./http.js";
import { DEFAULTS, MOST_EVENT_BYTES } from "./limits.js";
import { Queue } from "./queue.js";
import { Sender } from "./sender.js";
import { Subscription } from "./subscription.js";

const SAMPLED = ["track", "page", "screen"]; // never what says who somebody is
const nothing = () => {};

export const messageId = () => {
  if (crypto.randomUUID) return crypto.randomUUID(); // only in secure contexts
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
};

// What browser and server have in common. A place to keep things is {read(), write(value)}.
export class Client {
  constructor(key, { url, fetch, unref, places, changed, ...given }) {
    this.options = { ...DEFAULTS, onDrop: nothing, onError: nothing, ...given };
    this.places = places;
    this.subscriptions = [];
    this.http = new Http({ url, key: () => key, timeoutMs: this.options.timeoutMs, fetch, unref });
    this.queue = new Queue(this.options.maxQueue, changed);
    this.config = new Config({ http: this.http, kept: places("config"), told: (body) => this.configured(body) });
    this.sender = new Sender({
      queue: this.queue, options: this.options, http: this.http, context: () => this.context(),
      dropped: (name, code) => this.options.onDrop(name, code), failed: (code) => this.options.onError(code),
    });
  }

  context() {
    return { library: this.library };
  }

  configured() {}

  // False when the event was given up; a sampled one is not.
  put(type, name, fields) {
    const event = { type, messageId: messageId(), timestamp: new Date().toISOString(), ...fields };
    const { sampleRate = 1 } = this.config.flags;
    if (SAMPLED.includes(type) && share(this.sampledBy(event)) >= sampleRate) return true;
    const body = JSON.stringify(event), size = new TextEncoder().encode(body).length;
    const refusal = this.closed ? "client.closed"
      : size > MOST_EVENT_BYTES ? "event.too_large"
      : this.queue.add({ name, id: event.messageId, body, size }) ? null : "queue.full";
    if (refusal) this.options.onDrop(name, refusal);
    else this.sender.wake();
    return !refusal;
  }

  sampledBy(event) {
    return event.userId || event.anonymousId || event.messageId;
  }

  flush(milliseconds = 10_000) {
    return this.sender.flush(milliseconds);
  }

  flags() {
    return this.config.flags;
  }

  subscribe({ personas = [], onReset = nothing } = {}, callback) {
    const subscription = new Subscription({
      http: this.http, options: this.options, personas, kept: this.places("place." + personas.slice().sort()),
      change: callback, reset: onReset, error: (code) => this.options.onError(code),
      fault: (error) => setTimeout(() => { throw error; }), // seen by whoever watches errors; what follows goes on
    });
    this.subscriptions.push(subscription);
    return subscription;
  }

  async close(milliseconds = 5_000) {
    if (this.closed) return;
    this.closed = true;
    this.subscriptions.forEach((subscription) => subscription.close());
    await this.sender.flush(milliseconds);
    this.sender.end();
    this.config.end();
    this.http.end();
    for (const { name } of this.queue.clear()) this.options.onDrop(name, "client.closed");
  }
}
