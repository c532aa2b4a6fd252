// Declares services with PURISTA and writes what its own exporters say of them.
//
//     node purista_writes.mjs DIRECTORY
//
// Makes tests/fixtures/purista: purista.definitions.json, asyncapi.json, schedule-manifest.json.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exportAsyncApi, exportScheduleManifest, exportServiceDefinitions, ServiceBuilder } from '@purista/core'
import { z } from 'zod'

const address = z.object({ street: z.string(), zip: z.string().regex(/^\d{5}$/) })
const closing = z.object({
	month: z.string().regex(/^\d{4}-\d{2}$/),
	attempt: z.number().int(),
	ratio: z.number().optional(),
	kind: z.enum(['monthly', 'yearly']),
	mark: z.literal('x').default('x'),
	address,
	lines: z.array(z.object({ 'item-no': z.string(), count: z.number() })),
	note: z.string().nullable(),
	labels: z.record(z.string(), z.boolean()),
	point: z.tuple([z.number(), z.string()]),
	either: z.union([z.string(), z.number()]),
	mail: z.email().optional(),
	free: z.unknown(),
})

const billing = new ServiceBuilder({
	serviceName: 'billing',
	serviceVersion: '1',
	serviceDescription: 'Closes monthly billing cycles',
})
const queue = billing
	.getQueueBuilder('billing.monthlyClosing', "Close one tenant's billing month")
	.addPayloadSchema(closing)
	.addParameterSchema(z.object({ tenant: z.string() }))
	.setExecutionProfile('longRunning', { maxRuntimeMs: 6 * 3_600_000, strict: true })
	.setResultPolicy({
		mode: 'event',
		successEventName: 'billing.monthlyClosing.completed',
		failureEventName: 'billing.monthlyClosing.failed',
		delivery: 'required',
	})
	.setTags(['money'])
	.setDeadLetterOptions({ queueName: 'billing.monthlyClosing.dead' })
	.markSchedulable({
		name: 'yearly',
		description: 'Closes the year',
		expression: { kind: 'interval', everyMs: 60_000 },
	})
const strict = billing
	.getQueueBuilder('billing.reminder', 'Remind somebody')
	.addPayloadSchema(z.strictObject({ to: z.string() }))
	.setLifecycleConfig({ visibilityTimeoutMs: 30_000, maxAttempts: 5 })
	.markAsDeprecated()
const worker = billing
	.getQueueWorkerBuilder('billing.monthlyClosing', 'closeMonth')
	.canEmit('billing.invoiceWritten', z.object({ invoice: z.number() }))
	.setHandler(async function () {
		return { status: 'success' }
	})
const command = billing
	.getCommandBuilder('setPrice', 'Sets a price', 'billing.priceSet')
	.addPayloadSchema(z.object({ price: z.number() }))
	.addOutputSchema(z.object({ price: z.number().min(0), currency: z.string().length(3) }))
	.setCommandFunction(async function (_context, payload) {
		return { ...payload, currency: 'EUR' }
	})
billing
	.addQueueDefinition(queue.getDefinition(), strict.getDefinition())
	.addQueueWorkerDefinition(worker.getDefinition())
	.addCommandDefinition(command.getDefinition())
	.addScheduleDefinition(
		billing.getScheduleBuilder('monthlyBillingCycle', 'A month has ended').emitEvent('billing.monthlyCycleDue', {
			expression: { kind: 'cron', value: '0 2 1 * *', timezone: 'Europe/Berlin' },
			missedRunPolicy: 'runOnce',
		}),
	)
billing.bindEventToQueue('billing.monthlyCycleDue', 'billing.monthlyClosing', {
	idempotencyMode: 'strict',
	idempotencyKey: 'messageId',
})

const books = new ServiceBuilder({ serviceName: 'books', serviceVersion: '2', serviceDescription: 'Keeps the books' })
books.addSubscriptionDefinition(
	books
		.getSubscriptionBuilder('record', 'Records a rate')
		.subscribeToEvent('bank.rateChanged')
		.addPayloadSchema(z.object({ rate: z.number().min(0).max(1), bank: address.optional() }))
		.setSubscriptionFunction(async function () {})
		.getDefinition(),
)

const services = await exportServiceDefinitions([billing, books])
const written = {
	'purista.definitions.json': services,
	'asyncapi.json': await exportAsyncApi({ title: 'Billing', version: '1', services }),
	'schedule-manifest.json': await exportScheduleManifest({ title: 'Billing', version: '1', services }),
}
for (const [name, document] of Object.entries(written)) {
	await writeFile(join(process.argv[2], name), `${JSON.stringify(document, null, 2)}\n`)
}
