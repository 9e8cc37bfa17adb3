import type { Part } from './part.js';
export const drainPart: Part = { name: 'drain', title: '', boundMs: () => 1000, run: async () => ({ figures: [], verdicts: [] }) };
