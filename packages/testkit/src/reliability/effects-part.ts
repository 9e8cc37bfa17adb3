import type { Part } from './part.js';
export const effectsPart: Part = { name: 'effects', title: '', boundMs: () => 1000, run: async () => ({ figures: [], verdicts: [] }) };
