import { Backoff, retryAfter } from "./backoff.js";
import { INGEST, MOST_EVENTS } from "./limits.js";

const KEY_REFUSED = [401, 403];
const BATCH_REFUSED = [400, 413, 415, 422];

// Sends batches in order, each until it is taken or refused for good.
// dropped(name, code): an event was given up; failed(code): something an operator should know.
export class Sender {
  constructor({ queue, options, http, context, dropped, failed }) {
    Object.assign(this, { queue, options, http, context, dropped, failed });
    this.backoff = new Backoff(options.retryBaseMs, options.retryCapMs);
    this.most = MOST_EVENTS; // events a request; halved while the server refuses batches as a whole
    this.hurriedTo = 0; // everything up to this place leaves at once
    this.again = false; // the oldest batch was tried already: no waiting for company
    this.waiting = []; // flushes
    this.held = false; // no consent yet
  }

  // After each event: now when a batch is due, else when the interval has passed.
  wake() {
    if (this.sending || this.ended || this.held || !this.queue.length) return;
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
    do {
      const batch = this.queue.first(this.most);
      const pause = batch.length ? await this.send(batch) : 0;
      this.settle();
      if (pause) await this.http.sleep(pause);
    } while (this.queue.length && this.due() && !this.ended && !this.held);
  }

  // One request. The milliseconds to wait before the next.
  async send(batch) {
    this.again = true;
    let response, answer;
    try {
      response = await this.http.request(INGEST, { method: "POST", body: this.body(batch) });
      answer = await response.json().catch(() => ({}));
    } catch (error) { // no answer, whatever the reason
      return Math.max(this.backoff.next(), 1);
    }
    const code = (answer && answer.code) || `http.${response.status}`;
    if (response.ok) this.taken(batch, answer);
    else if (BATCH_REFUSED.includes(response.status)) this.refused(batch, code);
    else {
      if (KEY_REFUSED.includes(response.status)) this.failed(code);
      return retryAfter(response.headers.get("retry-after")) || Math.max(this.backoff.next(), 1);
    }
    return 0;
  }

  body(batch) {
    const context = JSON.stringify(this.context());
    const sentAt = new Date().toISOString();
    return `{"sentAt":"${sentAt}","context":${context},"batch":[${batch.map((event) => event.body).join(",")}]}`;
  }

  taken(batch, answer) {
    this.again = false;
    this.backoff.succeeded();
    this.most = Math.min(this.most * 2, MOST_EVENTS);
    this.queue.remove(batch);
    for (const { index, code } of (answer && answer.errors) || []) {
      if (batch[index]) this.dropped(batch[index].name, code || "event.refused");
    }
  }

  // The server takes none of it: halve, until the one event that is to blame stands alone.
  refused(batch, code) {
    if (batch.length > 1) {
      this.most = Math.floor(batch.length / 2);
      return;
    }
    this.queue.remove(batch);
    this.dropped(batch[0].name, code);
  }

  // True when everything that waits now was taken, or refused for good, within the time.
  flush(milliseconds) {
    const goal = this.queue.added;
    if (this.queue.removed >= goal) return Promise.resolve(true);
    this.hurriedTo = Math.max(this.hurriedTo, goal);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), milliseconds);
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
