import { CONFIG } from "./limits.js";

const USUAL = 45, LONGEST = 86_400; // seconds

// The project's configuration for SDKs, asked for again every `refreshAfter` seconds. `told` hears each change.
export class Config {
  constructor({ http, kept, told }) {
    Object.assign(this, { http, kept, told });
    this.known = kept.read() || {};
  }

  get flags() {
    return { ...(this.known.body && this.known.body.flags) };
  }

  // The share of 1 of such events that is sent: of the first rule that names it, else that of all.
  rate(name) {
    const { sampling, flags } = this.known.body || {};
    const rule = (Array.isArray(sampling) ? sampling : []).find((one) => one && typeof one.rate === "number" && names(one.event, name));
    return [rule && rule.rate, flags && flags.sampleRate].find((rate) => typeof rate === "number");
  }

  async refresh() {
    clearTimeout(this.timer);
    if (this.http.ended) return;
    try {
      const { etag } = this.known;
      const response = await this.http.request(CONFIG, { method: "GET", headers: etag ? { "If-None-Match": etag } : {}, cache: "no-store" });
      const { flags } = response.body;
      if (response.ok && flags && typeof flags === "object") {
        this.known = { etag: response.headers.get("etag"), body: response.body };
        this.kept.write(this.known);
        this.told(this.known.body);
      }
    } catch (error) { // no answer: what was known goes on to hold
    }
    const seconds = positive(this.known.body && this.known.body.refreshAfter, USUAL, LONGEST);
    if (!this.http.ended) this.timer = this.http.later(() => this.refresh(), seconds * 1000);
  }

  end() {
    clearTimeout(this.timer);
  }
}

// "page_*": whatever begins so.
const names = (pattern, name) => pattern === name || (/\*$/.test(pattern) && name.startsWith(pattern.slice(0, -1)));

// What an answer gives as a number, when it is one.
export const positive = (value, usual, most) => (typeof value === "number" && value > 0 ? Math.min(value, most) : usual);

// The id as a share of 1: the same answer for the same profile, in every SDK. FNV-1a, then mixed as MurmurHash3 ends: by
// itself FNV leaves ids that differ in their last digit beside each other.
export const share = (id) => {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(id)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
};
