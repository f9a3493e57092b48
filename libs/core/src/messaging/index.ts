export { SLOT_COUNT, placeOfKey, type KeyPlace } from './key-hash.js';
export { parseTraceParent, type TraceParent } from './traceparent.js';
export * from './codec/index.js';
export * from './contract/index.js';
export * from './rules/index.js';
export * from './inbox/index.js';
export * from './slots/index.js';
export * from './relay/index.js';
export * from './envelope/index.js';
