import type { Awaited, SagaEntry, TaskEntry, WholeEntry } from './saga-entry.js';

/** The lowest format of the engines that read an entry of each kind about a task. */
export const TASK_FORMATS: Readonly<Record<TaskEntry['kind'], number>> = {
  started: 1,
  completed: 1,
  attempt_failed: 1,
  failed: 1,
  unknown: 1,
  waiting: 1,
  crashed: 1,
  released: 1,
  late_success: 1,
};

/** The same for entries about the saga as a whole. */
export const WHOLE_FORMATS: Readonly<Record<WholeEntry['kind'], number>> = {
  saga_started: 1,
  adopted: 1,
  failing: 1,
  compensating: 1,
  parked: 1,
  mail_ignored: 1,
  needs_attention: 1,
  retry_requested: 1,
  saga_ended: 1,
};

/** The same for what a task waits for. */
export const AWAITED_FORMATS: Readonly<Record<Awaited['kind'], number>> = { reply: 1 };

/** The lowest format of the engines that can read a journal with this entry. */
export function formatOf(entry: SagaEntry): number {
  if (!('role' in entry)) return WHOLE_FORMATS[entry.kind];
  const format = TASK_FORMATS[entry.kind];
  return entry.kind === 'waiting' ? Math.max(format, AWAITED_FORMATS[entry.for.kind]) : format;
}
