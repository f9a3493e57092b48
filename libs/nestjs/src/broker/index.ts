export { BrokerAbsentError } from './broker-absent.error.js';
export { connectBroker } from './connect-broker.js';
export { KeptSubscription } from './kept-subscription.js';
