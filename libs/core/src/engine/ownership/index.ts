export { Membership, type MembershipOptions } from './membership.js';
export { StoreTime } from './store-time.js';
