export { SLOT_COUNT, placeOfKey, type KeyPlace } from './key-hash.js';
