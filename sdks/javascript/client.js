import { Config, share } from "./config.js";
import { Http } from "./http.js";
import { DEFAULTS, MOST_EVENT_BYTES } from "./limits.js";
import { Queue } from "./queue.js";
import { Sender } from "./sender.js";
import { Subscription } from "./subscription.js";

const SAMPLED = ["track", "page", "screen"]; // never what says who somebody is
const nothing = () => {};

// What browser and server have in common. A place to keep things is {read(), write(value)}.
// fault(error): an exception of the application's own callbacks, which must not end what goes on here.
export class Client {
  constructor(key, { url, fetch, unref, places, changed, fault, messageId, byteLength, ...given }) {
    Object.assign(this, { messageId, byteLength });
    this.options = { ...DEFAULTS, onDrop: nothing, onError: nothing, ...given };
    this.places = places;
    this.fault = fault;
    this.subscriptions = [];
    this.http = new Http({ url, key, timeoutMs: this.options.timeoutMs, fetch, unref });
    this.queue = new Queue(this.options.maxQueue, this.options.maxQueueBytes, changed);
    this.config = new Config({ http: this.http, kept: places("config"), told: (body) => this.configured(body) });
    this.sender = new Sender({
      queue: this.queue, options: this.options, http: this.http, context: () => this.context(),
      dropped: (name, code) => this.dropped(name, code), failed: (code) => this.tell(this.options.onError, code),
    });
  }

  context() {
    return { library: this.library };
  }

  configured(body) {
    if (this.options.onFlags) this.tell(this.options.onFlags, { ...body.flags });
  }

  // A promise where the callback has given one, which then never fails.
  tell(callback, ...given) {
    try {
      const answer = callback(...given);
      return answer && answer.then ? answer.then(nothing, (error) => this.fault(error)) : null;
    } catch (error) {
      return this.fault(error);
    }
  }

  dropped(name, code) {
    this.tell(this.options.onDrop, name, code);
  }

  // False when the event was given up; a sampled one is not.
  put(type, name, fields) {
    const event = { type, messageId: this.messageId(), timestamp: new Date().toISOString(), ...fields };
    const rate = this.config.rate(event.event || type);
    if (rate < 1 && SAMPLED.includes(type) && share(this.sampledBy(event)) >= rate) return true;
    const refusal = this.closed ? "client.closed" : this.refusal(name, event);
    if (refusal) this.dropped(name, refusal);
    else this.sender.wake();
    return !refusal;
  }

  // Why it cannot wait with the others; null when it does.
  refusal(name, event) {
    let body;
    try {
      body = JSON.stringify(event);
    } catch (error) { // a circle, a BigInt, a toJSON that throws
      return "event.not_json";
    }
    const size = this.byteLength(body);
    if (size > MOST_EVENT_BYTES) return "event.too_large";
    return this.queue.add({ name, id: event.messageId, body, size }) ? null : "queue.full";
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

  // The next key of a rotation. What waits goes out with it at once; a subscription that the old one ended stays ended.
  setKey(key) {
    this.http.key = key;
    this.http.hurry();
  }

  // `cursor`: behind which id to begin when there is no place from before; without either, from now on.
  subscribe({ personas = [], onReset = nothing, cursor, kept = this.places("place." + personas.slice().sort()) } = {}, callback = nothing) {
    if (cursor && !kept.read()) kept.write(cursor);
    const subscription = new Subscription({
      http: this.http, options: this.options, personas, kept,
      change: (change) => this.tell(callback, change), reset: (...range) => this.tell(onReset, ...range),
      error: (code) => this.tell(this.options.onError, code), fault: (error) => this.fault(error),
    });
    this.subscriptions = [...this.subscriptions.filter((one) => !one.closed), subscription];
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
    for (const { name } of this.queue.clear()) this.dropped(name, "client.closed");
  }
}
