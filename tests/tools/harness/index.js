export class ModelError extends Error {}
export class ModelCapabilityError extends Error {}
export class InMemoryStateStore {}
export const defineHarness = () => {
	throw new Error('The agent harness is not installed here.')
}
