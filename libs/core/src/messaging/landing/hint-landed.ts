import type { LandingMessage, WakeUps } from '../../ports/index.js';
import { landedForm } from '../inbox/index.js';
import { hintSlots, landingChannel } from '../slots/index.js';

/** Wakes the processes of groups that have messages in their landing queues now. */
export function hintLanded(
  wakeUps: Pick<WakeUps, 'hint'>,
  messages: readonly LandingMessage[],
): void {
  const groups = new Map<string, LandingMessage[]>();
  for (const one of messages) {
    const those = groups.get(one.key.group) ?? [];
    groups.set(one.key.group, those);
    those.push(one);
  }
  for (const [group, those] of groups) {
    const rows = those.map(({ key, message }) => landedForm(key, message));
    hintSlots(wakeUps, landingChannel(group), rows);
  }
}
