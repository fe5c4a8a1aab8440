import { Backoff, retryAfter } from "./backoff.js";
import { Parser } from "./frames.js";
import { after, object } from "./http.js";
import { STREAM } from "./limits.js";

const FOR_GOOD = [400, 401, 403, 404];
const NAMED = ["profile", "persona", "op"]; // what every change says
const isPlace = (id) => /^\d+$/.test(id);

// One open stream, opened again behind the last id whenever it ends. `change` is called in order, each change once; when
// it gives a promise, the next waits for that.
// kept: {read(), write(id)}: where the place is remembered. error(code): the server refuses for good; it has ended.
export class Subscription {
  constructor({ http, options, personas, kept, change, reset, error, fault }) {
    Object.assign(this, { http, options, personas, kept, change, reset, error, fault });
    this.backoff = new Backoff(options.retryBaseMs, options.retryCapMs);
    this.told = -1; // the last number that the application has heard
    this.done = this.run();
  }

  close() {
    this.closed = true;
    if (this.left) this.left();
    if (this.abort) this.abort.abort();
    if (this.wake) this.wake();
    return this.done;
  }

  async run() {
    while (!this.closed) {
      const since = this.http.hurries;
      let pause;
      try {
        pause = await this.listen();
      } catch (error) { // the connection broke, was silent for too long, or could not be made
        pause = this.backoff.next();
      }
      if (pause === null) return void (this.closed = true);
      if (!this.closed && since === this.http.hurries) await this.rest(pause);
    }
  }

  rest(pause) {
    return new Promise((resolve) => {
      const timer = after(pause, () => this.wake());
      this.wake = () => (clearTimeout(timer), this.http.resting.delete(this.wake), resolve());
      this.http.resting.add(this.wake);
    });
  }

  // One connection. The milliseconds before the next, null when there is to be none.
  async listen() {
    const abort = (this.abort = new AbortController());
    const guard = () => after(this.options.watchdogMs, () => abort.abort());
    let watchdog = guard();
    try {
      const query = new URLSearchParams(this.personas.map((persona) => ["persona", persona])).toString();
      const place = this.kept.read();
      const headers = this.http.headers({ Accept: "text/event-stream", ...(place ? { "Last-Event-ID": place } : {}) });
      const address = this.http.url + STREAM + (query && "?" + query);
      const response = await this.http.fetch(address, { headers, signal: abort.signal, cache: "no-store", redirect: "manual" });
      if (!response.ok) return await this.refused(response);
      if (!/event-stream/.test(response.headers.get("content-type"))) return this.backoff.next(); // not our server
      const reader = response.body.getReader(), decoder = new TextDecoder(), parser = new Parser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || this.closed) return this.backoff.next();
        clearTimeout(watchdog);
        watchdog = guard();
        for (const frame of parser.feed(decoder.decode(value, { stream: true }))) {
          const waiting = this.closed || this.hear(frame);
          if (waiting && waiting.then) await this.until(waiting);
        }
        if (parser.endless) return this.backoff.next();
      }
    } finally {
      clearTimeout(watchdog);
      abort.abort(); // whatever of it is still open
    }
  }

  // Or until the end: it may be what closes this.
  until(waiting) {
    return new Promise((over) => {
      this.left = over;
      waiting.then(over);
    });
  }

  async refused(response) {
    const { code } = await object(response);
    if (!code || typeof code !== "string" || !FOR_GOOD.includes(response.status)) return retryAfter(response.headers.get("retry-after")) || this.backoff.next();
    this.error(code);
    return null;
  }

  hear(frame) {
    this.backoff.succeeded();
    const behind = () => isPlace(frame.id) && this.kept.write(frame.id); // the call: what was not seen comes again
    try {
      const waiting = this.understand(frame);
      if (waiting && waiting.then) return waiting.then(behind);
    } catch (error) { // not what this server sends: what follows still counts
      this.fault(error);
    }
    return behind();
  }

  understand({ event, id, data }) {
    if (event === "reset") {
      const { oldest, head } = JSON.parse(data);
      if (!Number.isInteger(oldest) || !Number.isInteger(head)) throw new TypeError(`no reset: ${data}`);
      this.told = oldest - 1;
      return this.reset(oldest, head);
    } else if (event === "segment.updated" && isPlace(id) && Number(id) > this.told) {
      const change = JSON.parse(data);
      if (NAMED.some((name) => typeof change[name] !== "string")) throw new TypeError(`no change: ${data}`);
      this.told = Number(id);
      return this.change({ seq: this.told, ...change });
    }
    return null;
  }
}
