import { placeOfKey } from '../messaging/index.js';
import type { Message } from '../ports/index.js';

/** The names of the locks of one queue, which differ from those of every other queue of the store. */
export class MemoryQueueLocks {
  readonly #queue: string;

  constructor(queue: string) {
    this.#queue = queue;
  }

  /** The lock of a slot's lease row. */
  slot(slot: number): string {
    return `${this.#queue} slot:${slot}`;
  }

  /** The lock of a message's row. */
  row(seq: string): string {
    return `${this.#queue} row:${seq}`;
  }

  /** The lock of a message's key. */
  key({ tenant, topic, key }: Message): string {
    const place = placeOfKey(tenant, topic, key);
    return `${this.#queue} key:${place.slot.toString().padStart(3, '0')}:${place.lock}`;
  }
}
