import { Client } from "../../javascript/client.js";
import { positive, share } from "../../javascript/config.js";
import { Outbox } from "./outbox.js";
import { place } from "./places.js";

export const VERSION = "0.1.0";
const SOON = 100; // the first event of a page does not wait for others

const LIMITS = { flushAt: 20, maxQueue: 1_000, maxQueueBytes: 4 << 20 };
const DAY = 86_400_000;

const messageId = () => {
  if (crypto.randomUUID) return crypto.randomUUID(); // only in secure contexts
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
};

// One page's client. options: url, flushAt, flushIntervalMs, maxQueue, maxQueueBytes, consent ("granted", "wait", "denied"),
// doNotTrack (heed the browser's wish), onDrop(name, code), onError(code), onFlags(flags).
export class Browser extends Client {
  constructor(key, options) {
    const prefix = `persona.${share(key).toString(36).slice(2, 10)}.`; // two projects on one page do not meet
    super(key, {
      ...LIMITS, ...options, messageId, byteLength: (text) => new TextEncoder().encode(text).length,
      fetch: (...request) => fetch(...request), changed: () => this.changedSoon(),
      fault: (error) => setTimeout(() => { throw error; }), // seen by whoever watches errors; what follows goes on
      places: (name) => /^place/.test(name) ? place(prefix + name, undefined, "sessionStorage") : place(prefix + name, () => this.keeping),
    });
    this.library = { name: "@persona/browser", version: VERSION };
    this.followsConfig = !(options.flushIntervalMs >= 0);
    this.interval(this.config.known.body);
    this.outbox = new Outbox(`${prefix}queue.`, messageId(), (events) => this.adopted(events));
    this.decided = place(prefix + "consent"); // a decision is kept without asking
    this.listen();
    this.hold();
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

  identify(userId, traits = {}, more = {}) {
    this.places("user").write(userId);
    return this.event("identify", "identify", { traits, ...more });
  }

  alias(userId, previousId = this.userId || this.anonymousId, more = {}) {
    const sent = this.event("alias", "alias", { ...more, previousId, userId });
    this.places("user").write(userId);
    return sent;
  }

  // Somebody else sits here now.
  reset() {
    this.places("user").forget();
    this.places("anonymous").forget();
  }

  // --- what happened ---

  // `more`: userId, anonymousId, timestamp, context of this one event.
  track(event, properties = {}, more = {}) {
    return this.event("track", event, { event, properties, ...more });
  }

  page(name, properties = {}, more = {}) {
    const seen = { path: location.pathname, url: location.href, title: document.title, referrer: document.referrer };
    return this.event("page", "page", { name: name || document.title, properties: { ...seen, ...properties }, ...more });
  }

  event(type, name, { context, ...fields }) {
    if (this.refusing) return false;
    const ids = { anonymousId: this.anonymousId, userId: this.userId || undefined };
    const page = { path: location.pathname, url: location.href, referrer: document.referrer, title: document.title };
    return this.put(type, name, { ...ids, ...fields, context: { page, ...context } });
  }

  context() {
    return { library: this.library, locale: navigator.language, timezone: Intl.DateTimeFormat().resolvedOptions().timeZone };
  }

  sampledBy() {
    return this.anonymousId; // who signs in stays in the sample, or out of it
  }

  // --- consent ---

  // Until there is consent nothing is sent, and nothing but a decision is left on the device.
  hold() {
    const decided = this.decided.read(), wish = decided || this.options.consent || "granted";
    const asked = navigator.doNotTrack === "1" || navigator.globalPrivacyControl;
    this.refusing = wish === "denied" || !!(this.options.doNotTrack && asked && decided !== "granted");
    this.sender.held = wish === "wait" || this.refusing;
    this.keeping = !this.sender.held;
    if (!this.keeping) return;
    this.outbox.enter();
    this.config.refresh();
  }

  optIn() {
    this.decided.write("granted");
    if (this.keeping) return;
    this.hold();
    ["anonymous", "user"].forEach((name) => this.places(name).read() && this.places(name).write(this.places(name).read()));
    this.changedSoon();
    this.sender.wake();
  }

  // Nothing more is sent, and what waits is forgotten.
  optOut() {
    this.decided.write("denied");
    this.outbox.leave();
    this.config.end();
    this.hold();
    this.queue.clear();
    this.outbox.forgetAll();
    this.reset();
  }

  // --- configuration ---

  configured(body) {
    this.interval(body);
    super.configured(body);
  }

  interval(body) {
    if (this.followsConfig) this.options.flushIntervalMs = this.sentOnce ? positive(body && body.flushIntervalMs, 15_000, DAY) : SOON;
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
    if (this.keeping && this.outbox.leaving) this.outbox.save(this.queue.events);
  }

  adopted(events) {
    const known = new Set(this.queue.events.map(({ id }) => id));
    const rest = events.filter((event) => !known.has(event.id) && !this.queue.add(event));
    this.save();
    this.sender.wake();
    return rest;
  }

  listen() {
    this.heard = [
      [document, "visibilitychange", () => document.visibilityState === "hidden" && this.leave()],
      [window, "pagehide", () => this.keeping && (this.leave(), this.outbox.leave())],
      [window, "pageshow", (event) => event.persisted && this.keeping && this.back()],
      [window, "online", () => this.http.hurry()],
      [window, "storage", ({ key }) => this.keeping && key && this.outbox.notice(key)],
    ];
    this.heard.forEach(([from, name, act]) => from.addEventListener(name, act));
  }

  // As much as a page that goes away may send. It stays in the outbox until it is known to be taken: the next page of
  // this origin sends the rest, and what arrived twice is stored once.
  leave() {
    this.save();
    this.http.wakeAll();
    this.sender.leave();
  }

  // By the back button. What another tab has adopted meanwhile is that one's to send.
  back() {
    const taken = this.outbox.taken();
    this.queue.remove(this.queue.events.filter(({ id }) => taken.has(id)));
    this.outbox.enter();
    this.save();
    this.sender.wake();
  }

  // Another client of the same page and key takes over: gives it what waits.
  retire() {
    const left = this.queue.events;
    this.queue.events = []; // not dropped: neither `onDrop` nor a flush hears of it
    this.close(0);
    return left;
  }

  async close(milliseconds) {
    if (this.closed) return;
    await super.close(milliseconds);
    this.heard.forEach(([from, name, act]) => from.removeEventListener(name, act));
    this.save();
    this.outbox.leave();
  }
}
