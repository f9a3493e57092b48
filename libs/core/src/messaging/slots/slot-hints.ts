import type { WakeChannel, WakeUps } from '../../ports/index.js';
import { placeOfKey, SLOT_COUNT } from '../key-hash.js';

/** The most slots that a hint names. A hint about more names none. */
const NAMED = 32;
/**
 * How often all slots are looked at while hints name some, in milliseconds. A hint may be lost, and a
 * message written without a hint must not wait for the traffic to pause.
 */
const ALL_EVERY_MS = 100;

/** Sends a hint that messages were committed to slots of a queue. */
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

/** The channel of hints about the landing queue of a consumer group, which is the name of that queue too. */
export function landingChannel(group: string): `queue:${string}` {
  return `queue:landing:${group}`;
}

/** Reads the slots that a hint names; null: it may be about any. */
export function slotsOfHint(detail: string | undefined): readonly number[] | null {
  if (detail === undefined || !/^\d+(,\d+)*$/.test(detail)) return null;
  const slots = detail.split(',').map(Number);
  return slots.every((slot) => slot < SLOT_COUNT) ? slots : null;
}

/**
 * Collects the slots for the next look. The cost of a look grows with the number of slots, whether or
 * not it finds rows there, so a look that follows a hint reads only the slots that the hint names.
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

  /** Returns the slots of the look that begins now; null: all. A look without a hint reads all. */
  take(now: number): ReadonlySet<number> | null {
    const slots = this.#slots;
    this.#slots = new Set();
    if (slots !== null && slots.size > 0 && now - this.#lookedAtAll < ALL_EVERY_MS) return slots;
    this.#lookedAtAll = now;
    return null;
  }
}
