// Prints what Redocly's strictest rules and Spectral's rules for OpenAPI say of each document.
//
//     node openapi.mjs FILE…
//
// Output: {FILE: [{source, severity, code, message, path}]}
import { readFile } from 'node:fs/promises'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import spectralCore from '@stoplight/spectral-core'
import rulesets from '@stoplight/spectral-rulesets'

const SEVERITIES = ['error', 'warning', 'info', 'hint']

const strict = await createConfig({ extends: ['recommended-strict'] })
const spectral = new spectralCore.Spectral()
// All rules but two: OpenAPI 3.1 takes a licence's SPDX identifier instead of its URL, and a contract
// has the tags that its author gives it, beside its service's.
const rules = { 'license-url': 'off', 'operation-singular-tag': 'off' }
spectral.setRuleset({ extends: [[rulesets.oas, 'all']], rules })

const report = {}
for (const file of process.argv.slice(2)) {
	const text = await readFile(file, 'utf-8')
	const problems = await lintFromString({ source: text, absoluteRef: file, config: strict })
	const linted = await spectral.run(text)
	report[file] = [
		...problems.map(problem => ({
			source: 'redocly',
			severity: problem.severity,
			code: problem.ruleId,
			message: problem.message,
			path: problem.location[0]?.pointer ?? '',
		})),
		...linted.map(problem => ({
			source: 'spectral',
			severity: SEVERITIES[problem.severity],
			code: String(problem.code),
			message: problem.message,
			path: problem.path.join('.'),
		})),
	]
}
console.log(JSON.stringify(report, null, 2))
