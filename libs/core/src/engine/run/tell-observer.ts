import type { Decision } from '../decide/index.js';
import type { SagaFacts } from '../engine-observer.js';
import { taskOf } from '../state/index.js';
import type { EngineContext } from './engine-context.js';
import { logEntries } from './log-entries.js';

/** Tells the observer what a committed transition means. */
export function tellObserver(
  engine: EngineContext,
  facts: SagaFacts,
  { entries, next, status }: Decision,
): void {
  // Measured by the store's clock, so that it is right across waits and processes; at least 0, since
  // that clock may have been set back.
  const durationMs = Math.max(0, engine.storeNow() - next.startedAt);
  logEntries(engine, facts, next.trace, entries);
  for (const entry of entries) {
    if (entry.kind === 'crashed' || (entry.kind === 'unknown' && entry.error.name === 'Crashed')) {
      const { step, role } = entry;
      const { crashes } = taskOf(next, entry);
      engine.observe((observer) => observer.stepCrashed?.({ ...facts, step, role, crashes }));
    } else if (entry.kind === 'adopted' && entry.from !== null) {
      const { from } = entry;
      engine.observe((observer) => observer.sagaAdopted?.({ ...facts, from }));
    } else if (entry.kind === 'mail_ignored' && entry.code !== undefined) {
      const { code: reason } = entry;
      engine.observe((observer) => observer.replyIgnored?.({ ...facts, reason }));
    } else if (entry.kind === 'needs_attention') {
      const { reason, detail } = entry;
      engine.observe((observer) => observer.needsAttention?.({ ...facts, reason, detail }));
      engine.logger.error(`A saga needs attention: ${detail}`, {
        sagaId: facts.sagaId,
        saga: facts.saga,
        reason,
      });
    }
    if (entry.kind === 'needs_attention' || entry.kind === 'saga_ended') {
      engine.observe((observer) => observer.sagaEnded?.({ ...facts, status, durationMs }));
    }
  }
}
