import type { Part } from './part.js';
export const stormPart: Part = { name: 'storm', title: '', boundMs: () => 1000, run: async () => ({ figures: [], verdicts: [] }) };
