export { PgInboxStore } from './pg-inbox-store.js';
export { PgLandingGroups } from './landing-groups.js';
