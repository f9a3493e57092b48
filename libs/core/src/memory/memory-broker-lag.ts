import type { GroupLag, Message } from '../ports/index.js';

/** A message in the broker, and when it was published by the clock of the process. */
export interface Kept {
  readonly message: Message;
  readonly at: number;
}

/** The most entries, as `Broker.lag` promises. */
const MOST = 1_000;

/** The lag of each group in each topic that it has joined, and of topics that no group has joined. */
export function lagOf(
  topics: ReadonlyMap<
    string,
    { readonly groups: ReadonlySet<string>; readonly kept: readonly Kept[] }
  >,
  groups: ReadonlyMap<string, { all(): Iterable<Kept> }>,
  now: number,
): readonly GroupLag[] {
  const lags: GroupLag[] = [];
  for (const [topic, { kept }] of topics) {
    if (kept.length > 0) lags.push({ group: null, topic, ...backlogOf(kept, now) });
  }
  for (const [group, messages] of groups) {
    const byTopic = new Map<string, Kept[]>();
    for (const [topic, joined] of topics) if (joined.groups.has(group)) byTopic.set(topic, []);
    for (const one of messages.all()) byTopic.get(one.message.topic)?.push(one);
    for (const [topic, waiting] of byTopic) lags.push({ group, topic, ...backlogOf(waiting, now) });
  }
  return lags.sort((a, b) => b.messages - a.messages).slice(0, MOST);
}

function backlogOf(
  waiting: readonly Kept[],
  now: number,
): { readonly messages: number; readonly oldestAgeMs: number } {
  const oldest = waiting.reduce((at, one) => Math.min(at, one.at), now);
  return { messages: waiting.length, oldestAgeMs: now - oldest };
}
