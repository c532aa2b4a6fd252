// Prints what PURISTA's own mapping makes of an event and of a CloudEvent.
//
//     node purista_cloudevents.mjs EVENT CLOUDEVENT
//
// Output: {written: toCloudEvent(EVENT), read: fromCloudEvent(CLOUDEVENT)}.
import { fromCloudEvent, toCloudEvent } from '@purista/core'

const [event, cloudEvent] = process.argv.slice(2).map(text => JSON.parse(text))
const read = fromCloudEvent(cloudEvent, { mode: 'compat' })
console.log(JSON.stringify({ written: toCloudEvent(event), read }))
