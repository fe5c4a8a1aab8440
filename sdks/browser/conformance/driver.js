// Plays one conformance case in a page with the built SDK: `playCase(case)` is called by whoever steers the browser.
import { play, until } from "/player.js";

window.playCase = async (one) => {
  const heard = await play(one, (key, options) => window.persona.init(key, options));
  await until(async () => { // every case ends with a close: it leaves no lock behind
    const { held, pending } = await navigator.locks.query();
    return held.length + pending.length === 0;
  });
  return heard;
};
