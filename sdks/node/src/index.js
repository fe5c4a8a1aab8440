import { randomUUID } from "node:crypto";
import { Client } from "../../javascript/client.js";

export const VERSION = "0.1.0";

// A place that lasts as long as the process. A subscription's `cursor` option begins it elsewhere.
const place = (value = null) => ({ read: () => value, write: (next) => { value = next; } });

// One for a process: track() never waits for the network. close() before the end, or let the process end by itself.
export class Persona extends Client {
  constructor(key, { url = "http://127.0.0.1:8000", config = false, ...options } = {}) {
    const places = new Map();
    super(key, {
      ...options, url, fetch: (...request) => fetch(...request),
      messageId: randomUUID, byteLength: Buffer.byteLength,
      unref: (timer) => timer.unref(), // a process that has nothing else to do ends, by way of `beforeExit`
      fault: (error) => console.error("persona: in a callback or in what came:", error),
      places: (name) => places.get(name) || places.set(name, place()).get(name),
    });
    this.library = { name: "@persona/node", version: VERSION };
    if (config) this.config.refresh();
    this.ending = () => this.close();
    process.once("beforeExit", this.ending);
  }

  track(event, properties = {}, who = {}) {
    return this.put("track", event, { event, properties, ...who });
  }

  identify(userId, traits = {}, who = {}) {
    return this.put("identify", "identify", { userId, traits, ...who });
  }

  page(name, properties = {}, who = {}) {
    return this.put("page", "page", { name, properties, ...who });
  }

  alias(userId, previousId, who = {}) {
    return this.put("alias", "alias", { userId, previousId, ...who });
  }

  // The subscription's own `cursor` is the one to begin with after a restart.
  subscribe(options = {}, callback) {
    const kept = place();
    const subscription = super.subscribe({ ...options, kept }, callback);
    Object.defineProperty(subscription, "cursor", { get: kept.read });
    return subscription;
  }

  async close(milliseconds) {
    process.removeListener("beforeExit", this.ending);
    await super.close(milliseconds);
  }
}
