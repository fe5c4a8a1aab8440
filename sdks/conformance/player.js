// Does what a conformance case says with an SDK in JavaScript. `start(key, options)`: its client; what it heard comes back.
const PATIENCE = 20_000;

export const until = async (met) => {
  const deadline = performance.now() + PATIENCE;
  while (!(await met())) {
    if (performance.now() > deadline) throw new Error("waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

// `"{60000}"` as so many letters.
const filled = (properties = {}) =>
  Object.fromEntries(Object.entries(properties).map(([name, value]) => {
    const size = typeof value === "string" && /^\{(\d+)\}$/.exec(value);
    return [name, size ? "x".repeat(Number(size[1])) : value];
  }));

const call = (client, step) => {
  for (let i = 0; i < (step.times || 1); i++) {
    const who = step.userId ? { userId: step.userId.replace("{i}", i) } : {};
    const properties = filled(step.properties);
    if (step.track) client.track(step.track.replace("{i}", i), properties, who);
    else if (step.identify) client.identify(step.identify, step.traits);
    else if (step.page) client.page(step.page, properties, who);
    else client.alias(step.alias, step.previousId);
  }
};

const DEEDS = {
  flush: (client, { flush }) => client.flush(flush),
  close: (client, { close }) => client.close(close),
  setKey: (client, { setKey }) => client.setKey(setKey),
  unsubscribe: (client, step, heard) => heard.subscription.close(),
  subscribe(client, { subscribe, cursor }, heard) {
    const onReset = (oldest, head) => heard.resets.push({ oldest, head });
    heard.subscription = client.subscribe({ personas: subscribe, cursor, onReset }, ({ seq, profile }) => {
      heard.changes.push(seq);
      heard.profiles.push(profile);
    });
  },
  until: (client, step, heard) => until(() => reached((name) => heard[name].length, step.until)),
  wait: (client, step, heard, url) => until(async () => {
    const seen = await (await fetch(url + "/seen")).json();
    return reached((name) => seen[name], step.wait);
  }),
};

const reached = (count, wanted) => Object.entries(wanted).every(([name, most]) => count(name) >= most);

export const play = async ({ url, key, options, do: steps }, start) => {
  const heard = { dropped: [], errors: [], changes: [], profiles: [], resets: [], flags: [] };
  const client = start(key, {
    ...options, url,
    onDrop: (event, code) => heard.dropped.push({ event, code }),
    onFlags: (flags) => heard.flags.push(flags),
    onError: (code) => heard.errors.push(code),
  });
  for (const step of steps) {
    const deed = Object.keys(DEEDS).find((name) => name in step);
    if (deed) await DEEDS[deed](client, step, heard, url);
    else call(client, step);
  }
  return { ...heard, subscription: undefined };
};
