import type { Clock, UnservedSagas } from '../ports/index.js';
import type { EnginesHeard } from './memory-engine-registry.js';
import type { SagaRow } from './memory-saga-rows.js';

/** Groups the claimable sagas whose definition no living engine runs. */
export function unservedSagas(
  claimable: readonly SagaRow[],
  { olderThanMs, limit }: { readonly olderThanMs: number; readonly limit: number },
  clock: Clock,
  engines: EnginesHeard,
): readonly UnservedSagas[] {
  const waiting = claimable
    .map((row) => ({ row, waitedMs: waitedMs(row, clock) }))
    .filter((one) => one.waitedMs >= olderThanMs)
    .sort((a, b) => b.waitedMs - a.waitedMs);
  const more = waiting.length > limit;
  const groups = new Map<string, UnservedSagas>();
  for (const { row, waitedMs: oldestMs } of waiting.slice(0, limit)) {
    const { id, name, version, format } = row;
    if (engines.serve(row)) continue;
    const key = `${name} ${String(version)} ${String(format)}`;
    const before = groups.get(key);
    const group = before ?? { name, version, format, count: 0, more, oldestMs, example: id };
    groups.set(key, { ...group, count: group.count + 1 });
  }
  return [...groups.values()];
}

/** How long the saga has been due, in milliseconds; if only mail made it due, since its last change. */
function waitedMs({ wakeAt, updatedAt }: SagaRow, clock: Clock): number {
  return wakeAt === null ? clock.date().getTime() - updatedAt.getTime() : clock.now() - wakeAt;
}
