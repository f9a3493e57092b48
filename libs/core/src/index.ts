export * from './errors/index.js';
export * from './clock/index.js';
export * from './ids.js';
export { VERSION } from './version.js';
export * from './ports/index.js';
export * from './retry/index.js';
export * from './saga/index.js';
export * from './messaging/index.js';
export * from './engine/index.js';
