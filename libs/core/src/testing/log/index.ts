export { LogServer, type LogServerOptions } from './log-server.js';
export { LogBroker, type LogBrokerOptions } from './log-broker.js';
export { logBrokerContract } from './log-cases.js';
export { LogTrial, type LogTrialFixture, type LogTrialStore } from './log-trial.js';
