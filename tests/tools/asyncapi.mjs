// Prints what the official AsyncAPI parser and Spectral's recommended rules say of each document.
//
//     node asyncapi.mjs FILE…
//
// Output: {FILE: [{source, severity, code, message, path}]}; severities are error, warning, info, hint.
import { readFile } from 'node:fs/promises'
import { Parser } from '@asyncapi/parser'
import spectralCore from '@stoplight/spectral-core'
import rulesets from '@stoplight/spectral-rulesets'

const SEVERITIES = ['error', 'warning', 'info', 'hint']

const spectral = new spectralCore.Spectral()
spectral.setRuleset({ extends: [[rulesets.asyncapi, 'recommended']], rules: {} })

const told = source => diagnostic => ({
	source,
	severity: SEVERITIES[diagnostic.severity],
	code: String(diagnostic.code),
	message: diagnostic.message,
	path: diagnostic.path.join('.'),
})

const report = {}
for (const file of process.argv.slice(2)) {
	const text = await readFile(file, 'utf-8')
	const parsed = await new Parser().parse(text)
	const linted = await spectral.run(text)
	report[file] = [...parsed.diagnostics.map(told('parser')), ...linted.map(told('spectral'))]
	if (!parsed.document) {
		report[file].push({ source: 'parser', severity: 'error', code: 'no-document', message: '', path: '' })
	}
}
console.log(JSON.stringify(report, null, 2))
