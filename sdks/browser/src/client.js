import { Client, messageId } from "../../javascript/client.js";
import { share } from "../../javascript/config.js";
import { INGEST, MOST_EVENTS } from "../../javascript/limits.js";
import { Outbox } from "./outbox.js";
import { place } from "./places.js";

export const VERSION = "0.1.0";
const KEEPALIVE_BYTES = 60_000; // a page that goes away may leave 64 KB behind
const SOON = 100; // the first event of a page does not wait for others

const LIMITS = { flushAt: 20, maxQueue: 1_000 };

// One page's client. options: url, flushAt, flushIntervalMs, maxQueue, consent ("granted", "wait", "denied"),
// doNotTrack (heed the browser's wish), onDrop(name, code), onError(code), onFlags(flags).
export class Browser extends Client {
  constructor(key, options) {
    const prefix = `persona.${share(key).toString(36).slice(2, 10)}.`;
    super(key, {
      ...LIMITS, ...options, fetch: (...request) => fetch(...request),
      places: (name) => place(prefix + name), changed: () => this.changedSoon(),
    });
    this.library = { name: "@persona/browser", version: VERSION };
    this.followsConfig = !(options.flushIntervalMs >= 0);
    this.interval(this.config.known.body);
    this.outbox = new Outbox(`${prefix}queue.`, messageId());
    this.decided = this.places("consent");
    this.hold();
    this.listen();
    this.outbox.adopt((events) => events.forEach((event) => this.queue.add(event) && this.sender.wake()));
    if (!this.sender.held) this.config.refresh();
  }

  // --- who it is ---

  get anonymousId() {
    const kept = this.places("anonymous");
    let id = kept.read();
    if (!id) kept.write((id = messageId()));
    return id;
  }

  get userId() {
    return this.places("user").read();
  }

  identify(userId, traits = {}) {
    this.places("user").write(userId);
    return this.event("identify", "identify", { traits });
  }

  alias(userId, previousId) {
    const sent = this.event("alias", "alias", { previousId: previousId || this.userId || this.anonymousId, userId });
    this.places("user").write(userId);
    return sent;
  }

  // Somebody else sits here now.
  reset() {
    this.places("user").forget();
    this.places("anonymous").forget();
  }

  // --- what happened ---

  track(event, properties = {}) {
    return this.event("track", event, { event, properties });
  }

  page(name, properties = {}) {
    const seen = { path: location.pathname, url: location.href, title: document.title, referrer: document.referrer };
    return this.event("page", "page", { name: name || document.title, properties: { ...seen, ...properties } });
  }

  event(type, name, fields) {
    if (this.refusing) return false;
    const ids = { anonymousId: this.anonymousId, ...(this.userId ? { userId: this.userId } : {}) };
    const context = { page: { path: location.pathname, url: location.href, referrer: document.referrer, title: document.title } };
    return this.put(type, name, { ...ids, ...fields, context });
  }

  context() {
    return { library: this.library, locale: navigator.language, timezone: Intl.DateTimeFormat().resolvedOptions().timeZone };
  }

  sampledBy() {
    return this.anonymousId; // who signs in stays in the sample, or out of it
  }

  // --- consent ---

  hold() {
    const wish = this.decided.read() || this.options.consent || "granted";
    const asked = navigator.doNotTrack === "1" || navigator.globalPrivacyControl;
    this.refusing = wish === "denied" || !!(this.options.doNotTrack && asked && this.decided.read() !== "granted");
    this.sender.held = wish === "wait" || this.refusing;
  }

  optIn() {
    this.decided.write("granted");
    this.hold();
    this.changedSoon();
    this.config.refresh();
    this.sender.wake();
  }

  // Nothing more is sent, and what waits is forgotten.
  optOut() {
    this.decided.write("denied");
    this.hold();
    this.queue.clear();
    this.reset();
  }

  // --- configuration ---

  configured(body) {
    this.interval(body);
    if (this.options.onFlags) this.options.onFlags(this.flags());
  }

  interval(body) {
    if (this.followsConfig) this.options.flushIntervalMs = this.sentOnce ? (body && body.flushIntervalMs) || 15_000 : SOON;
  }

  // --- a page that may end at any moment ---

  // Once for all events of a turn of the event loop, and before the page can end.
  changedSoon() {
    if (!this.sentOnce && this.queue.removed) {
      this.sentOnce = true;
      this.interval(this.config.known.body);
    }
    if (this.saving) return;
    this.saving = Promise.resolve().then(() => {
      this.saving = null;
      this.save();
    });
  }

  save() {
    if (this.outbox && !this.sender.held) this.outbox.save(this.queue.events);
  }

  listen() {
    const leaving = () => document.visibilityState === "hidden" && this.leave();
    addEventListener("visibilitychange", leaving, true);
    addEventListener("pagehide", () => this.leave());
    addEventListener("online", () => this.http.wakeAll());
    addEventListener("pageshow", (event) => event.persisted && this.sender.wake());
  }

  // As much as a page that goes away may send. It stays in the outbox until it is known to be taken: the next page of
  // this origin sends the rest, and what arrived twice is stored once.
  leave() {
    this.save();
    if (this.sender.held || !this.queue.length) return;
    const batch = this.queue.first(MOST_EVENTS, KEEPALIVE_BYTES);
    const sent = this.http.request(INGEST, { method: "POST", body: this.sender.body(batch), keepalive: true });
    sent.then((response) => response.ok && response.json(), () => null).then((answer) => answer && this.delivered(batch, answer));
  }

  // The ordinary sender may have been quicker.
  delivered(batch, answer) {
    if (batch.every((event) => this.queue.events.includes(event))) this.sender.taken(batch, answer);
  }

  async close(milliseconds) {
    await super.close(milliseconds);
    this.outbox.save([]);
  }
}
