// @rudderstack/rudder-sdk-node: URL KEY N
import { createRequire } from 'node:module'

const Analytics = createRequire(import.meta.url)('@rudderstack/rudder-sdk-node')
const [url, key, n] = process.argv.slice(2)
const lost = []
const client = new (Analytics.default ?? Analytics)(key, {
  dataPlaneUrl: url, flushAt: 50, flushInterval: 200, retryCount: 8, logLevel: 'error',
  errorHandler: (error) => lost.push(error.message),
})
for (let number = 0; number < Number(n); number++) {
  const properties = { total: number, 'page.path': '/checkout' }
  client.track({ userId: `rudder-node-${number % 7}`, event: 'order_placed', properties })
  if (number === n / 2) client.track({ userId: 'rudder-node-0', event: 'n'.repeat(201) }) // one character too long
}
client.identify({ userId: 'rudder-node-0', traits: { plan: 'team' } })
await client.flush()
console.log(`lost batches: ${lost.length}`, ...lost)
