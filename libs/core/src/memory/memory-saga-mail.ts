import { newId } from '../ids.js';
import { isFinal, type Mail, type NewMail, type SagaStatus } from '../ports/index.js';
import type { MemoryTransaction } from './memory-transaction.js';

interface Letter extends Mail {
  readonly putAt: number;
  /** Rises with each letter in the order of their commits. */
  readonly place: number;
}

/** Mail by saga. If mail with the same key exists, new mail is ignored. */
export class MemorySagaMail {
  readonly #bySaga = new Map<string, Map<string, Letter>>();
  #places = 0;

  /** Whether a saga has mail that engines of the format can read. */
  has(sagaId: string, format = Infinity): boolean {
    return this.of(sagaId).some((mail) => mail.format <= format);
  }

  /** Whether the mail reports a late effect, to engines of the format. */
  hasLate(sagaId: string, format = Infinity): boolean {
    return this.of(sagaId).some((mail) => mail.kind === 'late' && mail.format <= format);
  }

  of(sagaId: string): readonly Mail[] {
    const letters = this.#bySaga.get(sagaId);
    if (letters === undefined) return [];
    return [...letters.values()].map(mailOf);
  }

  /** Letters after a place, in their order. */
  after(place: number): { readonly mail: Mail; readonly place: number }[] {
    const letters = [...this.#bySaga.values()].flatMap((of) => [...of.values()]);
    return letters
      .filter((letter) => letter.place > place)
      .sort((a, b) => a.place - b.place)
      .map((letter) => ({ mail: mailOf(letter), place: letter.place }));
  }

  sagas(): IterableIterator<string> {
    return this.#bySaga.keys();
  }

  async put(
    mail: readonly NewMail[],
    transaction: MemoryTransaction,
    now: () => number,
  ): Promise<void> {
    for (const letter of mail) {
      // As with a unique index, a second writer waits until the first has ended.
      await transaction.lock(`mail:${letter.sagaId}:${letter.dedupeKey}`);
      transaction.stage(() => {
        const letters = this.#bySaga.get(letter.sagaId) ?? new Map<string, Letter>();
        for (const known of letters.values()) {
          if (known.dedupeKey === letter.dedupeKey) return;
        }
        const id = newId();
        const { definition: _, format = 1, ...mail } = letter;
        this.#places += 1;
        letters.set(id, { ...mail, format, id, putAt: now(), place: this.#places });
        this.#bySaga.set(letter.sagaId, letters);
      });
    }
  }

  take(sagaId: string, ids: readonly string[], transaction: MemoryTransaction): void {
    if (ids.length === 0) return;
    transaction.stage(() => {
      const letters = this.#bySaga.get(sagaId);
      if (letters === undefined) return;
      for (const id of ids) letters.delete(id);
      if (letters.size === 0) this.#bySaga.delete(sagaId);
    });
  }

  /**
   * Deletes mail that no saga will read, and mail from before `putBefore` of sagas that do not exist; only
   * mail that engines of the format can judge.
   */
  dropDead(
    statusOf: (sagaId: string) => SagaStatus | undefined,
    putBefore: number,
    format: number,
  ): number {
    let dropped = 0;
    for (const sagaId of [...this.#bySaga.keys()]) {
      const status = statusOf(sagaId);
      if (status === undefined) {
        dropped += this.#drop(sagaId, (mail) => mail.putAt < putBefore && mail.format <= format);
      } else if (isFinal(status)) {
        dropped += this.#drop(sagaId, (mail) => mail.kind !== 'late' && mail.format <= format);
      }
    }
    return dropped;
  }

  #drop(sagaId: string, isDead: (letter: Letter) => boolean): number {
    const letters = this.#bySaga.get(sagaId);
    if (letters === undefined) return 0;
    let dropped = 0;
    for (const [id, letter] of letters) {
      if (!isDead(letter)) continue;
      letters.delete(id);
      dropped += 1;
    }
    if (letters.size === 0) this.#bySaga.delete(sagaId);
    return dropped;
  }
}

function mailOf({ putAt: _, place: __, ...mail }: Letter): Mail {
  return mail;
}
