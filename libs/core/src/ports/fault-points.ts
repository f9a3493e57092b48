/**
 * Named points in critical sections where a test can wait, throw or kill the process. In production
 * {@link noFaults} is used and costs a call to an empty function.
 */
export const FAULT_POINTS = [
  'start.before-commit',
  'start.after-commit',
  'claim.after-commit',
  'step.before-invoke',
  'step.after-invoke',
  'step.before-commit',
  'step.after-commit',
  'transition.before-flush',
  'transition.after-flush',
  'compensation.before-invoke',
  'compensation.after-invoke',
  'outbox.before-append',
  'outbox.after-append',
  'relay.before-publish',
  'relay.after-publish',
  'relay.before-complete',
  'relay.after-complete',
  'relay.before-change',
  'queue.before-handle',
  'queue.after-handle',
  'queue.before-complete',
  'inbox.after-claim',
  'inbox.after-handler',
  'inbox.before-commit',
  'inbox.after-commit',
] as const;
export type FaultPoint = (typeof FAULT_POINTS)[number];

export interface FaultPoints {
  /** Called at the point. A returned promise is awaited, and an error is thrown on. */
  reach(point: FaultPoint, subject?: string): void | Promise<void>;
}

export const noFaults: FaultPoints = { reach: () => undefined };
