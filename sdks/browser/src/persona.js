import { Browser, VERSION } from "./client.js";

// Where this file came from is where events go, unless `url` says otherwise. On a server that renders pages there is neither.
const page = typeof document === "undefined" ? {} : document;
const script = page.currentScript;
const home = script && script.src ? new URL(script.src).origin : page.location ? page.location.origin : "";

let client = null;
let early = []; // calls before init, and those of the snippet before this file came

const DEEDS = ["track", "identify", "page", "alias", "reset", "flush", "subscribe", "flags", "setKey", "optIn", "optOut", "close"];

export const persona = {
  version: VERSION,
  init(key, options = {}) {
    const left = client && client.http.key === key && !client.closed ? client.retire() : client && client.close() && [];
    client = new Browser(key, { url: home, ...options });
    if (left && !client.refusing) client.adopted(left);
    const waiting = early;
    early = [];
    waiting.forEach(([deed, given]) => client[deed](...given));
    return persona;
  },
};

DEEDS.forEach((deed) => {
  persona[deed] = (...given) => {
    if (client) return client[deed](...given);
    early.push([deed, given]);
    return undefined;
  };
});
