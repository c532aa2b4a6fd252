// A client of the shop: what is right must compile, and what is wrong must not.
import createClient from 'openapi-fetch'
import type { components, paths } from './schema.js'

const client = createClient<paths>({ baseUrl: 'http://localhost' })
const order: components['schemas']['Order-Input'] = {
	article: 'hat',
	size: 'small',
	amount: 1,
	price: '9.99',
	paid: { kind: 'card', number: '4111111111111111' },
	at: '2026-01-31T12:00:00Z',
	buyer: 'Ada',
	notes: { en: [[1, 'fragile']] },
	parts: [],
}

const accepted = await client.PUT('/shops/{shop_id}/orders/{orderId}', {
	params: { path: { shop_id: 's1', orderId: 7 }, header: { traceparent: '00-0-0-01' } },
	body: order,
})
const jobId: string | undefined = accepted.data?.jobId
const queued: 'queued' | undefined = accepted.data?.status
const problem: string | undefined = accepted.error === undefined ? undefined : 'refused'

const found = await client.GET('/shops/{shop_id}/orders', {
	params: { path: { shop_id: 's1' }, query: { words: 'hat', sizes: ['small'] } },
})
const price: string | undefined = found.data?.orders[0]?.price

const status = await client.GET('/jobs/{jobId}', { params: { path: { jobId: jobId ?? '' } } })
const ended = status.data?.status === 'deadLetter'
await client.POST('/jobs/{jobId}/cancel', { params: { path: { jobId: '1' } } })
await client.GET('/jobs/{jobId}/events', { params: { path: { jobId: '1' } }, parseAs: 'stream' })
await client.DELETE('/shops/{shop_id}/orders/{orderId}', {
	params: { path: { shop_id: 's1', orderId: 7 } },
})

// @ts-expect-error the query's "words" is required
await client.GET('/shops/{shop_id}/orders', { params: { path: { shop_id: 's1' } } })
// @ts-expect-error there is no such endpoint
await client.GET('/shops/{shop_id}/secrets', {})
// @ts-expect-error an order has an article
await client.POST('/prices', { body: { size: 'small' } })

export { ended, found, price, problem, queued }
