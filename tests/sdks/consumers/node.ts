// A program of somebody who uses the package, for the compiler alone.
import { Persona, VERSION, type Change, type Flags, type Options, type Subscription } from "@persona/node";

declare const console: { log(...given: unknown[]): void };
const options: Options = {
  url: "https://persona.example.com", config: true, maxQueueBytes: 1_000_000,
  onDrop: (event: string, code: string) => console.log(event.length, code.length),
  onFlags: (flags: Flags) => console.log(flags["dark"]),
};
const persona = new Persona("sk_live_x", options);
const kept: boolean = persona.track("order_placed", { total: 40.5, items: ["a"] }, { userId: "alice", timestamp: new Date() });
persona.identify("alice", { plan: "trial" });
persona.page("Pricing");
persona.alias("alice", "anonymous-1");
const heard = (change: Change): void => console.log(change.seq.toFixed(), change.op === "enter", change.profile, change["cause"], kept, VERSION);
const subscription: Subscription = persona.subscribe({ personas: ["high_intent"], cursor: null, onReset: (oldest, head) => console.log(head - oldest) }, heard);
const end = async (): Promise<string | null> => {
  const sent: boolean = await persona.flush(1_000);
  await subscription.close();
  await persona.close();
  return sent ? subscription.cursor : null;
};
void end();

// @ts-expect-error: a name is needed
persona.track();
// @ts-expect-error: no such option
new Persona("sk_live_x", { flushInterval: 1 });
// @ts-expect-error: nobody moves but in or out
heard({ seq: 1, profile: "u", persona: "p", op: "stay" });
