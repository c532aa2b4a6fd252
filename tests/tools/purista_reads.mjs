// Lets PURISTA's own exporters read a definitions file, and prints what they make of it.
//
//     node purista_reads.mjs DEFINITIONS
//
// Output: {asyncapi, manifest, cronJobs, unknownSchemas}: the last counts schemas that PURISTA could not read.
import { readFile } from 'node:fs/promises'
import { exportAsyncApi, exportKubernetesCronJobs, exportScheduleManifest } from '@purista/core'

let unknownSchemas = 0
console.error = () => {
	unknownSchemas += 1
}

const services = JSON.parse(await readFile(process.argv[2], 'utf-8'))
const manifest = await exportScheduleManifest({ version: '1', services })
const crons = manifest.schedules.filter(schedule => schedule.expression.kind === 'cron')
const cronJobs = await exportKubernetesCronJobs({
	manifest: { ...manifest, schedules: crons },
	trigger: { image: 'trigger:1', command: ['fire', '{{scheduleName}}'] },
})
const asyncapi = await exportAsyncApi({ title: 'Read by PURISTA', version: '1', services })
console.log(JSON.stringify({ asyncapi, manifest, cronJobs, unknownSchemas }))
