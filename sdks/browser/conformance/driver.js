// Plays one conformance case in a page: `play(case)` is called by whoever steers the browser. `persona` is the built SDK's.
const PATIENCE = 20_000;

const until = async (met) => {
  const deadline = Date.now() + PATIENCE;
  while (!(await met())) {
    if (Date.now() > deadline) throw new Error("waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

// `"{60000}"` as so many letters.
const filled = (properties = {}) =>
  Object.fromEntries(Object.entries(properties).map(([name, value]) => {
    const size = typeof value === "string" && /^\{(\d+)\}$/.exec(value);
    return [name, size ? "x".repeat(Number(size[1])) : value];
  }));

const call = (step) => {
  for (let i = 0; i < (step.times || 1); i++) {
    const who = step.userId ? { userId: step.userId.replace("{i}", i) } : {};
    const properties = filled(step.properties);
    if (step.track) persona.track(step.track.replace("{i}", i), properties, who);
    else if (step.identify) persona.identify(step.identify, step.traits);
    else if (step.page) persona.page(step.page, properties, who);
    else persona.alias(step.alias, step.previousId);
  }
};

const play = async ({ url, key, options, do: steps }) => {
  const heard = { dropped: [], errors: [], changes: [], resets: [], flags: [] };
  persona.init(key, {
    ...options, url,
    onDrop: (event, code) => heard.dropped.push({ event, code }),
    onFlags: (flags) => heard.flags.push(flags),
    onError: (code) => heard.errors.push(code),
  });
  let subscription;
  for (const step of steps) {
    if ("flush" in step) await persona.flush(step.flush);
    else if ("close" in step) await persona.close(step.close);
    else if ("setKey" in step) persona.setKey(step.setKey);
    else if ("unsubscribe" in step) await subscription.close();
    else if ("subscribe" in step) {
      const onReset = (oldest, head) => heard.resets.push({ oldest, head });
      subscription = persona.subscribe({ personas: step.subscribe, cursor: step.cursor, onReset }, ({ seq }) => heard.changes.push(seq));
    } else if ("until" in step) await until(() => Object.entries(step.until).every(([name, count]) => heard[name].length >= count));
    else if ("wait" in step) {
      await until(async () => {
        const seen = await (await fetch(url + "/seen")).json();
        return Object.entries(step.wait).every(([name, count]) => seen[name] >= count);
      });
    } else call(step);
  }
  await until(async () => { // every case ends with a close: it leaves no lock behind
    const { held, pending } = await navigator.locks.query();
    return held.length + pending.length === 0;
  });
  return heard;
};
