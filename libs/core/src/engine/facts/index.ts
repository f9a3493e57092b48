export {
  FACT_KINDS,
  type AttemptFacts,
  type AttemptOutcome,
  type EngineFact,
  type FactFields,
  type FactKind,
  type FactOf,
  type SagaFacts,
  type TaskFacts,
} from './engine-fact.js';
export type { AroundAttempt } from './attempt-wrapper.js';
export { factHandlers, type FactHandlers, type FactListener } from './fact-handlers.js';
export { FactStream } from './fact-stream.js';
