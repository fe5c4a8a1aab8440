// fetch with the key, a time limit, and an end that wakes whatever waits.
export class Http {
  constructor({ url, key, timeoutMs, fetch, unref = (timer) => timer }) {
    Object.assign(this, { url: url.replace(/\/+$/, ""), key, timeoutMs, fetch, unref });
    this.open = new Set();
    this.sleeping = new Set();
  }

  headers(more) {
    return { Authorization: `Bearer ${this.key}`, ...more };
  }

  // {ok, status, headers, body}: the body is what its JSON says, {} where it is none of ours.
  async request(path, { headers, body, ...more }) {
    const abort = new AbortController();
    this.open.add(abort);
    const timer = setTimeout(() => abort.abort(), this.timeoutMs);
    try {
      const type = body === undefined ? {} : { "Content-Type": "application/json" };
      const options = { ...more, body, headers: this.headers({ ...type, ...headers }), signal: abort.signal };
      const response = await this.fetch(this.url + path, options);
      return { ok: response.ok, status: response.status, headers: response.headers, body: object(await response.text()) };
    } finally {
      clearTimeout(timer);
      this.open.delete(abort);
    }
  }

  later(act, milliseconds) {
    return this.unref(setTimeout(act, milliseconds));
  }

  sleep(milliseconds) {
    if (this.ended) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => (clearTimeout(timer), this.sleeping.delete(done), resolve());
      const timer = this.later(done, milliseconds);
      this.sleeping.add(done);
    });
  }

  // No pause any longer: the network is back, or there is another key.
  wakeAll() {
    this.sleeping.forEach((done) => done());
  }

  end() {
    this.ended = true;
    this.open.forEach((abort) => abort.abort());
    this.wakeAll();
  }
}

// A proxy or a hotel's sign-in page answers whatever it likes.
export const object = (text) => {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" ? value : {};
  } catch (error) {
    return {};
  }
};
