// A peer on PURISTA's AMQP wire: PURISTA's own messages, over its headers exchange.
//
//     node purista_amqp.mjs hear CONFIG      prints a line of JSON for "ready" and for each message
//     node purista_amqp.mjs emit CONFIG      publishes messages and ends
//
// CONFIG is JSON. hear: {url, exchange, queue, filters, retries}: the first `retries` deliveries are
// handed to the queue's retry queue. emit: {url, exchange, messages, queue?}: each is completed to a
// message of PURISTA's; with a queue, they come to it through its retry queue.
import { EBMessageType, getNewEBMessageId, isCustomMessage } from '@purista/core'
import amqplib from 'amqplib'

const [action, text] = process.argv.slice(2)
const config = JSON.parse(text)
const connection = await amqplib.connect(config.url)
const channel = await connection.createConfirmChannel()
await channel.assertExchange(config.exchange, 'headers')

const print = line => process.stdout.write(`${JSON.stringify(line)}\n`)

const headersOf = message => ({
	messageType: message.messageType,
	senderServiceName: message.sender.serviceName,
	senderServiceVersion: message.sender.serviceVersion,
	senderServiceTarget: message.sender.serviceTarget,
	senderInstanceId: message.sender.instanceId,
	eventName: message.eventName,
	principalId: message.principalId,
	tenantId: message.tenantId,
})

const completed = message => ({
	id: getNewEBMessageId(),
	timestamp: Date.now(),
	messageType: EBMessageType.CustomMessage,
	contentType: 'application/json',
	contentEncoding: 'utf-8',
	sender: { serviceName: 'peer', serviceVersion: '1', serviceTarget: 'emit', instanceId: 'node' },
	...message,
})

const retryQueue = async (queue, delayMs) => {
	const name = `${queue}.retry.${delayMs}`
	await channel.assertQueue(name, {
		durable: true,
		arguments: {
			'x-message-ttl': delayMs,
			'x-dead-letter-exchange': '',
			'x-dead-letter-routing-key': queue,
		},
	})
	return name
}

const send = async (content, message, headers) => {
	const options = {
		messageId: message.id,
		timestamp: message.timestamp,
		contentType: 'application/json',
		contentEncoding: 'utf-8',
		type: message.messageType,
		headers: { ...headersOf(message), ...headers },
		persistent: true,
	}
	if (config.queue && headers) {
		channel.sendToQueue(await retryQueue(config.queue, 100), content, options)
	} else {
		channel.publish(config.exchange, '', content, options)
	}
	await channel.waitForConfirms()
}

const hear = async () => {
	await channel.assertQueue(config.queue, { durable: true })
	await channel.bindQueue(config.queue, config.exchange, '', { 'x-match': 'all', ...config.filters })
	let retries = config.retries ?? 0
	await channel.consume(config.queue, async delivery => {
		const message = JSON.parse(delivery.content.toString('utf-8'))
		const { headers, messageId, timestamp, type, contentType, contentEncoding, deliveryMode } =
			delivery.properties
		if (retries > 0) {
			retries -= 1
			await send(delivery.content, message, { 'x-purista-retry-attempt': 2 })
		} else {
			const properties = { messageId, timestamp, type, contentType, contentEncoding, deliveryMode }
			const known = isCustomMessage(message)
			print({ message, headers, properties, known, routingKey: delivery.fields.routingKey })
		}
		channel.ack(delivery)
	})
	print('ready')
}

if (action === 'hear') {
	await hear()
} else {
	for (const each of config.messages) {
		const message = completed(each)
		const content = Buffer.from(config.raw ?? JSON.stringify(message))
		await send(content, message, config.queue ? { 'x-purista-retry-attempt': 2 } : undefined)
		print(message.id)
	}
	await connection.close()
}
