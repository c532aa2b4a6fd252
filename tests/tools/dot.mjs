// Prints how Graphviz lays a DOT file out (`dot -Tplain`), or fails with its complaint.
//
//     node dot.mjs FILE
import { readFile } from 'node:fs/promises'
import { instance } from '@viz-js/viz'

const viz = await instance()
const drawn = viz.render(await readFile(process.argv[2], 'utf-8'), { format: 'plain' })
if (drawn.status !== 'success' || drawn.errors.length > 0) {
	throw new Error(JSON.stringify(drawn.errors))
}
console.log(drawn.output)
