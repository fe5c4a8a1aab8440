// A page of somebody who uses the package, for the compiler alone.
import persona, { type Change, type Options, persona as named } from "@persona/browser";

declare const console: { log(...given: unknown[]): void }, location: { pathname: string };
const options: Options = { url: "https://persona.example.com", consent: "wait", doNotTrack: true, onError: (code) => console.log(code.length) };
named.init("pk_live_x", options).track("page_viewed", { path: location.pathname });
persona.identify("alice", { plan: "trial" });
persona.page();
persona.alias("alice");
persona.optIn();
const subscription = persona.subscribe({ personas: ["high_intent"] }, (change: Change) => console.log(change.seq.toFixed()));
void subscription?.close();
void persona.flush()?.then((sent: boolean) => sent);
persona.reset();

// @ts-expect-error: one of three words
persona.init("pk_live_x", { consent: "maybe" });
// @ts-expect-error: before init there is no subscription
subscription.close();
