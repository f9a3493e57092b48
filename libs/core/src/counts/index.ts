export { SharedCounts, type CountedStore } from './shared-counts.js';
