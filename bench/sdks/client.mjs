// client.mjs ours|segment URL N: tracks N events and ends. Prints when it began and what it has cost, as JSON.
import { createRequire } from "node:module";

const [which, url, given] = process.argv.slice(2), n = Number(given);
const properties = { product_id: "sku-1234", category: "shoes", price: 40.5, quantity: 2, path: "/checkout" };
const published = createRequire(new URL("../../tests/interop/", import.meta.url));

const CLIENTS = {
  async ours() {
    const { Persona } = await import("../../sdks/node/src/index.js");
    const persona = new Persona("pk_bench", { url, maxQueue: n + 1, maxQueueBytes: 2 ** 30 });
    return [(number) => persona.track("order_placed", properties, { userId: `user-${number}` }), () => persona.close(600_000)];
  },
  async segment() {
    const { Analytics } = published("@segment/analytics-node");
    const analytics = new Analytics({ writeKey: "pk_bench", host: url, flushAt: 100 }); // batches as large as ours
    return [(number) => analytics.track({ userId: `user-${number}`, event: "order_placed", properties }),
      () => analytics.closeAndFlush({ timeout: 600_000 })];
  },
};

const [track, end] = await CLIENTS[which]();
const spent = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6; };
const began = Date.now() / 1000, at = performance.now(), before = spent();
for (let number = 0; number < n; number++) {
  track(number);
  if (number % 1000 === 999) await new Promise((resume) => setImmediate(resume)); // a server does other things between events
}
const tracked = spent() - before;
await end();
console.log(JSON.stringify({ began, seconds: (performance.now() - at) / 1000, cpu: spent() - before, tracked }));
process.exit();
