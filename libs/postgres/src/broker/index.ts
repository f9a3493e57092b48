export { BrokerClosedError } from './broker.errors.js';
export { PgBroker } from './pg-broker.js';
export { postgresBroker, type PostgresBrokerOptions } from './postgres-broker.js';
export {
  connectGroups,
  type ConnectedGroups,
  type ConnectGroupsOptions,
} from './connect-groups.js';
export { brokerGrantSql, MissingBrokerGrantError, type BrokerGrants } from './grants.js';
export { Groups } from './groups.js';
