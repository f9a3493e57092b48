import type { WakeChannel, WakeUps } from '../../ports/index.js';
import { placeOfKey, SLOT_COUNT } from '../key-hash.js';

/** So many slots are named; of more it is only said that there is something. */
const NAMED = 32;
/**
 * So often all slots are looked at while hints keep naming some: a hint may be lost, and who writes
 * without one must not wait for the traffic to pause.
 */
const ALL_EVERY_MS = 100;

/** Tells who works on a queue where messages were committed. */
export function hintSlots(
  wakeUps: Pick<WakeUps, 'hint'>,
  channel: WakeChannel,
  messages: readonly { readonly tenant: string; readonly topic: string; readonly key: string }[],
): void {
  const slots = new Set<number>();
  for (const { tenant, topic, key } of messages) {
    slots.add(placeOfKey(tenant, topic, key).slot);
    if (slots.size > NAMED) break;
  }
  if (slots.size > NAMED) wakeUps.hint(channel);
  else if (slots.size > 0) wakeUps.hint(channel, [...slots].join(','));
}

/** The slots that a hint names; null: it may be about any. */
export function slotsOfHint(detail: string | undefined): readonly number[] | null {
  if (detail === undefined || !/^\d+(,\d+)*$/.test(detail)) return null;
  const slots = detail.split(',').map(Number);
  return slots.every((slot) => slot < SLOT_COUNT) ? slots : null;
}

/**
 * Which slots the next look is about. A look costs the more the more slots it asks about, whether it
 * finds anything there or not; so one that follows a hint asks about those that the hint names.
 */
export class SlotsToLookAt {
  /** Null: all. */
  #slots: Set<number> | null = null;
  #lookedAtAll = -Infinity;

  /** @param slots null: any */
  add(slots: readonly number[] | null): void {
    if (slots === null) this.#slots = null;
    else for (const slot of slots) this.#slots?.add(slot);
    if (this.#slots !== null && this.#slots.size > NAMED) this.#slots = null;
  }

  /** A look begins: those it is about, null for all. What nobody hinted at is a look at all. */
  take(now: number): ReadonlySet<number> | null {
    const slots = this.#slots;
    this.#slots = new Set();
    if (slots !== null && slots.size > 0 && now - this.#lookedAtAll < ALL_EVERY_MS) return slots;
    this.#lookedAtAll = now;
    return null;
  }
}
