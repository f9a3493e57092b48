export { oneLine } from './one-line.js';
export { redact } from './redact.js';
