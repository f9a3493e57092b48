export { Relay, type RelayOptions } from './relay.js';
export type { RelayObserver } from './relay-observer.js';
export { DEFAULT_RELAY_SETTINGS, RELAY_RETRY, type RelaySettings } from './relay-settings.js';
export { PublishTimeoutTooLongError } from './publish-timeout-too-long.error.js';
export { UNDELIVERABLE } from './failure-reply.js';
export { TopicAwayError } from './topic-away.error.js';
