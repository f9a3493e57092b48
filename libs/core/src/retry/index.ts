export {
  DEFAULT_TIME_LIMIT_MS,
  parseDuration,
  parseTimeLimit,
  type Duration,
  type TimeLimit,
} from './duration.js';
export { InvalidDurationError } from './invalid-duration.error.js';
export {
  COMPENSATION_RETRY,
  InvalidRetryPolicyError,
  STEP_RETRY,
  delayOf,
  parseRetry,
  type RetryOptions,
  type RetryPolicy,
} from './retry-policy.js';
export { classify, type ErrorClass } from './classify.js';
export { RepeatedFailure, type RepeatedFailureOptions } from './repeated-failure.js';
export { OptionalLook, type LookResult, type OptionalLookOptions } from './optional-look.js';
export { RepeatedFailures } from './repeated-failures.js';
