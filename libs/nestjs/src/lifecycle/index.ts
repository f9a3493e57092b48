export { EveryMinute } from './every-minute.js';
export { WorkObservers, type DroppedReply, type WorkObserver } from './observers.js';
export { RecentAnswer, type Answer } from './recent-answer.js';
export { SagazLifecycle } from './sagaz-lifecycle.js';
export { UnservedQueues } from './unserved-queues.js';
export { drainTimeOf, endedWithin, httpTimeOf } from './shutdown-times.js';
export { waitForDatabase } from './wait-for-database.js';
export { StartTimeoutError, waitForServer } from './wait-for-server.js';
export { Workers, type StuckMessages, type Worker } from './workers.js';
