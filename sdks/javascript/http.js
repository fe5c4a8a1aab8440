import { MOST_ANSWER } from "./limits.js";

const LONGEST = 2 ** 31 - 1; // beyond it a timer fires at once

export const after = (milliseconds, act) => setTimeout(act, Math.min(milliseconds, LONGEST));

// fetch with the key, a time limit, and an end that wakes whatever waits.
export class Http {
  constructor({ url, key, timeoutMs, fetch, unref = (timer) => timer }) {
    Object.assign(this, { url: url.replace(/\/+$/, ""), key, timeoutMs, fetch, unref });
    this.open = new Set();
    this.sleeping = new Set();
    this.resting = new Set(); // pauses of subscriptions
    this.hurries = 0;
  }

  // A key with a stray letter in it is refused by the server, which says so; fetch would only throw.
  headers(more) {
    return { Authorization: `Bearer ${encodeURI(String(this.key).trim())}`, ...more };
  }

  // {ok, status, headers, body}: the body is what its JSON says, {} where it is none of ours.
  async request(path, { headers, body, ...more }) {
    const abort = new AbortController();
    this.open.add(abort);
    const timer = after(this.timeoutMs, () => abort.abort());
    try {
      const type = body === undefined ? {} : { "Content-Type": "application/json" };
      const options = { ...more, body, headers: this.headers({ ...type, ...headers }), signal: abort.signal, redirect: "manual" };
      const response = await this.fetch(this.url + path, options);
      return { ok: response.ok, status: response.status, headers: response.headers, body: await object(response) };
    } finally {
      clearTimeout(timer);
      abort.abort(); // whatever of it was not read
      this.open.delete(abort);
    }
  }

  later(act, milliseconds) {
    return this.unref(after(milliseconds, act));
  }

  // `since`: `hurries` as the attempt began; one that has come meanwhile was meant for the next.
  sleep(milliseconds, since) {
    if (this.ended || since !== this.hurries) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => (clearTimeout(timer), this.sleeping.delete(done), resolve());
      const timer = this.later(done, milliseconds);
      this.sleeping.add(done);
    });
  }

  // No pause any longer: the network is back, or there is another key.
  hurry() {
    this.hurries++;
    this.wakeAll();
    this.resting.forEach((done) => done());
  }

  wakeAll() {
    this.sleeping.forEach((done) => done());
  }

  end() {
    this.ended = true;
    this.open.forEach((abort) => abort.abort());
    this.wakeAll();
  }
}

// What the JSON of an answer says: a proxy or a hotel's sign-in page answers whatever it likes.
export const object = async (response) => {
  const text = await read(response);
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" ? value : {};
  } catch (error) {
    return {};
  }
};

const read = async ({ body }) => {
  const reader = body ? body.getReader() : { read: () => ({ done: true }) }, decoder = new TextDecoder();
  for (let text = ""; ; ) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
    if (text.length > MOST_ANSWER) throw new Error("an answer without end");
  }
};
