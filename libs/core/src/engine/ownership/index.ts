export { Membership } from './membership.js';
export { Upkeep } from './upkeep.js';
export { StoreTime } from './store-time.js';
