import { Backoff, retryAfter } from "./backoff.js";
import { after } from "./http.js";
import { INGEST, MOST_EVENTS } from "./limits.js";

const LATER = [408, 425, 429]; // of those that say the client is wrong
const TOO_LARGE = 413; // said by proxies, too
const BATCH_REFUSED = [400, 415, 422];
const KEEPALIVE_BYTES = 60_000; // a browser lets requests of 64 KB together outlive their page

const word = (value) => (typeof value === "string" ? value : "");

// Sends batches in order, each until it is taken or refused for good.
// dropped(name, code): an event was given up; failed(code): something an operator should know.
export class Sender {
  constructor({ queue, options, http, context, dropped, failed }) {
    Object.assign(this, { queue, options, http, context, dropped, failed });
    this.backoff = new Backoff(options.retryBaseMs, options.retryCapMs);
    this.most = MOST_EVENTS; // events a request; halved while the server refuses batches as a whole
    this.flying = new Set(); // events of requests that are under way
    this.hurriedTo = 0; // everything up to this place leaves at once
    this.again = false; // the oldest batch was tried already: no waiting for company
    this.waiting = []; // flushes
    this.held = false; // no consent yet
  }

  // After each event: now when a batch is due, else when the interval has passed.
  wake() {
    if (this.sending || this.ended || this.held || this.queue.length <= this.flying.size) return;
    if (this.due()) this.start();
    else if (!this.timer) this.timer = this.http.later(() => this.start(), this.options.flushIntervalMs);
  }

  due() {
    return this.again || this.hurriedTo > this.queue.removed || this.queue.length >= Math.min(this.options.flushAt, MOST_EVENTS);
  }

  start() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.sending || this.ended || this.held) return;
    this.sending = this.run().finally(() => {
      this.sending = null;
      this.wake();
    });
  }

  async run() {
    let batch;
    do {
      const since = this.http.hurries;
      batch = this.queue.first(this.most, this.flying);
      const pause = batch.length ? await this.send(batch) : 0;
      if (pause) await this.http.sleep(pause, since);
    } while (batch.length && this.due() && !this.ended && !this.held);
  }

  // The page may end: what is not on its way goes at once, as much as may outlive it.
  leave() {
    const room = KEEPALIVE_BYTES - [...this.flying].reduce((sum, event) => sum + event.size, 0);
    const batch = this.queue.first(MOST_EVENTS, this.flying, room);
    if (this.held || this.ended || !batch.length || batch[0].size > room) return;
    this.send(batch).then((pause) => this.http.later(() => this.wake(), pause));
  }

  // One request. The milliseconds to wait before the next.
  async send(batch) {
    this.again = true;
    batch.forEach((event) => this.flying.add(event));
    try {
      const keepalive = batch.reduce((sum, event) => sum + event.size, 4_096) < KEEPALIVE_BYTES;
      return this.understand(batch, await this.http.request(INGEST, { method: "POST", body: this.body(batch), keepalive }));
    } catch (error) { // no answer, whatever the reason
      return this.backoff.next();
    } finally {
      batch.forEach((event) => this.flying.delete(event));
      this.settle();
    }
  }

  understand(batch, { ok, status, headers, body }) {
    const said = word(body.code), code = said || (status < 400 && !ok ? "http.redirect" : `http.${status}`);
    if (ok && typeof body.accepted === "number") return this.taken(batch, body);
    if (status === TOO_LARGE || (said && BATCH_REFUSED.includes(status))) return this.refused(batch, code);
    if (status < 500 && !LATER.includes(status)) this.failed(code); // a key or an address that is wrong, or not our server
    return retryAfter(headers.get("retry-after")) || this.backoff.next();
  }

  body(batch) {
    const context = JSON.stringify(this.context());
    const sentAt = new Date().toISOString();
    return `{"sentAt":"${sentAt}","context":${context},"batch":[${batch.map((event) => event.body).join(",")}]}`;
  }

  taken(batch, { errors }) {
    this.again = false;
    this.backoff.succeeded();
    this.most = Math.min(this.most * 2, MOST_EVENTS);
    this.queue.remove(batch);
    for (const error of Array.isArray(errors) ? errors : []) {
      const { index, code } = error || {}, event = Number.isInteger(index) && batch[index];
      if (event) this.dropped(event.name, word(code) || "event.refused");
    }
    return 0;
  }

  // The server takes none of it: halve, until the one event that is to blame stands alone.
  refused(batch, code) {
    if (batch.length > 1) this.most = Math.floor(batch.length / 2);
    else {
      this.queue.remove(batch);
      this.dropped(batch[0].name, code);
    }
    return 0;
  }

  // True when everything that waits now was taken, or refused for good, within the time.
  flush(milliseconds) {
    const goal = this.queue.added;
    if (this.queue.removed >= goal) return Promise.resolve(true);
    this.hurriedTo = Math.max(this.hurriedTo, goal);
    return new Promise((resolve) => {
      const timer = after(milliseconds, () => resolve(false));
      this.waiting.push({ goal, done: () => (clearTimeout(timer), resolve(true)) });
      this.wake();
    });
  }

  settle() {
    this.waiting = this.waiting.filter(({ goal, done }) => this.queue.removed < goal || done());
  }

  end() {
    this.ended = true;
    clearTimeout(this.timer);
  }
}
