// @segment/analytics-node: URL KEY N
import { Analytics } from '@segment/analytics-node'

const [url, writeKey, n] = process.argv.slice(2)
const analytics = new Analytics({ writeKey, host: url, flushAt: 50, flushInterval: 200, maxRetries: 20 })
const lost = []
analytics.on('error', (error) => lost.push(error.reason?.message ?? error.code))
for (let number = 0; number < Number(n); number++) {
  const properties = { total: number, 'page.path': '/checkout' }
  analytics.track({ userId: `segment-node-${number % 7}`, event: 'order_placed', properties })
  if (number === n / 2) analytics.track({ userId: 'segment-node-0', event: 'n'.repeat(201) }) // one character too long
}
analytics.identify({ userId: 'segment-node-0', traits: { plan: 'team' } })
await analytics.closeAndFlush({ timeout: 60_000 })
console.log(`lost events: ${lost.length}`, ...new Set(lost))
