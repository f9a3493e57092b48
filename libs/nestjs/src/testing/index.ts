export { MemoryBroker } from '@sagaz/core/memory';
export { VirtualClock } from '@sagaz/core/testing';
export { SAGAZ_CLOCK } from '../tokens/index.js';
export { SagazTestingModule, type SagazTestingOptions } from './sagaz-testing.module.js';
