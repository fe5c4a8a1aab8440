// @shopify/shopify-api: URL SECRET N [WHICH TIME]; its own crypto signs, and its own validator confirms each signature.
import '@shopify/shopify-api/adapters/node'
import { createSHA256HMAC, HashFormat } from '@shopify/shopify-api/runtime'
import { ApiVersion, shopifyApi } from '@shopify/shopify-api'

const [url, secret, n, again = '1'] = process.argv.slice(2)
const shopify = shopifyApi({
  apiKey: 'key', apiSecretKey: secret, scopes: [], hostName: 'shop.example', apiVersion: ApiVersion.October25 ?? '2025-10',
  isEmbeddedApp: false, logger: { level: 0 },
})
let refused = 0
for (let number = 0; number < Number(n); number++) {
  // As Shopify writes it: JSON.stringify cannot, its numbers end at 2^53.
  const rawBody = `{"id":${9007199254740993n + BigInt(number)},` + JSON.stringify({
    email: `shopify-${number % 7}@example.com`, total_price: `${number}.00`, currency: 'EUR',
    line_items: [{ id: 1 }], financial_status: 'paid',
  }).slice(1)
  const headers = {
    'content-type': 'application/json', 'x-shopify-topic': 'orders/create', 'x-shopify-shop-domain': 'shop.example',
    'x-shopify-api-version': '2025-10', 'x-shopify-webhook-id': `webhook-${number}-${again}`,
    'x-shopify-hmac-sha256': await createSHA256HMAC(secret, rawBody, HashFormat.Base64),
  }
  const checked = await shopify.webhooks.validate({ rawBody, rawRequest: { headers, method: 'POST', url: '/' } })
  if (!checked.valid) throw new Error(`its own validator refuses it: ${checked.reason}`)
  const answer = await fetch(url, { method: 'POST', headers, body: rawBody })
  if (!answer.ok) refused++
}
console.log(`lost events: ${refused}`)
