// Writes the TypeScript types of an OpenAPI document.
//
//     node openapi_types.mjs DOCUMENT OUT
import { writeFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import openapiTS, { astToString } from 'openapi-typescript'

const [document, out] = process.argv.slice(2)
await writeFile(out, astToString(await openapiTS(pathToFileURL(document))))
