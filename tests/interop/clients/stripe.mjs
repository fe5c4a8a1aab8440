// Stripe's own verifier, on what arrives on standard input: [{body, header, secret, at}], `at` in ms or null for now.
// Writes one word for each: good, or the name of the error.
import Stripe from "stripe";

const stripe = new Stripe("sk_test_unused");
let text = "";
for await (const part of process.stdin) text += part;
const words = JSON.parse(text).map(({ body, header, secret, at }) => {
  try {
    stripe.webhooks.constructEvent(body, header, secret, 300, undefined, at ?? undefined);
    return "good";
  } catch (error) {
    return error.type ?? error.name;
  }
});
process.stdout.write(JSON.stringify(words));
