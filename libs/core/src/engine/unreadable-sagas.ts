import { errorText } from '../errors/index.js';
import { newNonce } from '../ids.js';
import {
  FORMAT,
  type FormattedDefinition,
  type LoadedSaga,
  type Logger,
  type Mail,
  type Ownership,
  type RecordedEntry,
  type SagaHeader,
  type SagaStore,
} from '../ports/index.js';
import { actorIn, mailData } from './decide/index.js';
import type { FactStream, SagaFacts } from './facts/index.js';
import type { TransitionFlusher } from './flush/index.js';
import type { SagaOutcome } from './handle/index.js';
import { encodeEntry, type AttentionReason, type SagaEntry } from './journal/index.js';

/** A saga that cannot be run here, with the facts that are known without reading its journal. */
export interface UnreadableSaga extends Pick<
  SagaHeader,
  'id' | 'name' | 'version' | 'epoch' | 'revision'
> {
  readonly mail: readonly Mail[];
  /** By the store's clock, in milliseconds since 1970; null: its first entry is missing. */
  readonly startedAt: number | null;
  /** Whether its journal says already that a person is needed because it cannot be read. */
  readonly parked: boolean;
}

export interface UnreadableSagasOptions {
  readonly logger: Logger;
  readonly flusher: Pick<TransitionFlusher, 'submit'>;
  readonly incarnation: () => string;
  readonly storeNow: () => number;
  readonly facts: FactStream;
  readonly store: Pick<SagaStore, 'load'>;
  readonly take: (loaded: readonly LoadedSaga[]) => void;
  readonly onParked: (id: string, outcome: SagaOutcome<unknown>) => void;
}

const CONTROL = new Set(['retry', 'cancel', 'terminate']);

/**
 * The sagas that this engine owns and cannot run, because it cannot read their journals or has no
 * definition of them. Each is parked as `needs_attention`, with the reason, by a transition that does
 * not depend on its journal and changes none of its entries. This incarnation goes on owning it, so
 * that replies stay in its mail and wake no engine. A request of an operator makes the engine read the
 * journal again; so does the engine that adopts the saga once this one has ended.
 */
export class UnreadableSagas {
  readonly #options: UnreadableSagasOptions;
  /**
   * The epoch in which each saga was reported, so that it is reported once and not at every look at the
   * owned sagas.
   */
  readonly #epochs = new Map<string, number>();
  readonly #busy = new Set<string>();

  constructor(options: UnreadableSagasOptions) {
    this.#options = options;
  }

  has(id: string): boolean {
    return this.#epochs.has(id);
  }

  /**
   * Takes mail of one of these sagas: a request of an operator has the journal read once more, as has mail
   * for a newer engine, which gets the saga. Other mail stays unread.
   */
  receive({ sagaId, kind, format }: Mail): void {
    const concerns = format > FORMAT || CONTROL.has(kind);
    if (!concerns || this.#busy.has(sagaId)) return;
    this.#busy.add(sagaId);
    void this.#readAgain(sagaId);
  }

  forget(id: string): void {
    this.#epochs.delete(id);
  }

  clear(): void {
    this.#epochs.clear();
  }

  quarantine(saga: UnreadableSaga, reason: AttentionReason, detail: string, error?: unknown): void {
    const { id: sagaId, name, version, parked } = saga;
    if (this.#epochs.get(sagaId) !== saga.epoch) {
      this.#epochs.set(sagaId, saga.epoch);
      const why = { reason, detail, parked, error };
      this.#options.facts.tell({ kind: 'saga_unreadable', ...factsOf(saga), ...why });
    }
    const newer = Math.max(0, ...saga.mail.map(({ format }) => format));
    const letters = saga.mail.filter(({ kind, format }) => CONTROL.has(kind) && format <= FORMAT);
    const ending = letters.find(({ kind }) => kind === 'terminate');
    const entries: SagaEntry[] = [];
    if (ending === undefined) {
      if (!parked) entries.push({ kind: 'needs_attention', reason, detail });
      for (const { kind, data } of letters) {
        const by = actorIn(mailData(data));
        entries.push({ kind: 'mail_ignored', mail: kind, reason: detail, ...by });
      }
      if (newer > FORMAT && entries.length === 0) entries.push({ kind: 'parked' });
    } else {
      const words = mailData(ending.data);
      const { reason: why } = words;
      entries.push({
        kind: 'saga_ended',
        status: 'terminated',
        output: undefined,
        reason: typeof why === 'string' ? why : '',
        ...actorIn(words),
      });
    }
    if (entries.length === 0) return;
    const becomes = newer > FORMAT ? { name, version, format: newer } : null;
    this.#write(saga, entries, letters, ending !== undefined, becomes).catch(() => {
      // The engine is closed. The engine that adopts the saga parks it.
      this.#busy.delete(sagaId);
    });
  }

  async #readAgain(id: string): Promise<void> {
    const { store, incarnation, take, logger } = this.#options;
    let loaded: readonly LoadedSaga[] = [];
    try {
      loaded = await store.load([id], incarnation());
    } catch (error) {
      // The mail stays unread, and the next look at the mail finds it again.
      logger.warn('A saga could not be read again.', { sagaId: id, error: errorText(error) });
    }
    this.#busy.delete(id);
    if (this.has(id)) take(loaded);
  }

  async #write(
    saga: UnreadableSaga,
    entries: readonly SagaEntry[],
    letters: readonly Mail[],
    ended: boolean,
    becomes: FormattedDefinition | null,
  ): Promise<void> {
    const { id } = saga;
    if (this.#busy.has(id)) return;
    this.#busy.add(id);
    const outcome = await this.#options.flusher.submit({
      id: newNonce(),
      sagaId: id,
      owner: this.#options.incarnation(),
      epoch: saga.epoch,
      revision: saga.revision,
      status: ended ? 'terminated' : 'needs_attention',
      ownership: ownershipAfter(ended, becomes),
      entries: entries.map(encodeEntry),
      messages: [],
      consumedMail: letters.map((letter) => letter.id),
      mail: [],
      sagas: [],
      becomes,
    });
    this.#busy.delete(id);
    if (outcome.kind === 'applied') {
      for (const entry of entries) this.#tell(saga, entry);
      if (ended || becomes !== null) this.forget(id);
    } else if (outcome.kind === 'rejected') {
      this.#options.logger.error('A saga could not be parked.', { sagaId: id }, outcome.error);
    } else {
      // The saga has another owner or a newer revision. The next look at the owned sagas shows which.
      this.forget(id);
    }
  }

  #tell(saga: UnreadableSaga, entry: SagaEntry): void {
    const { facts, onParked, storeNow } = this.#options;
    const { id, startedAt } = saga;
    const durationMs = startedAt === null ? 0 : Math.max(0, storeNow() - startedAt);
    const known = { ...factsOf(saga), durationMs };
    if (entry.kind === 'needs_attention') {
      const { reason, detail } = entry;
      const why = { reason, detail, unreadable: true };
      facts.tell({ kind: 'saga_needs_attention', ...known, ...why });
      onParked(id, { status: 'needs_attention', reason, detail, failure: null });
    } else if (entry.kind === 'saga_ended') {
      facts.tell({ kind: 'saga_ended', ...known, status: 'terminated' });
      onParked(id, { status: 'terminated', reason: entry.reason });
    }
  }
}

/** The trace of the saga is in its journal, which cannot be read. */
function factsOf({ id: sagaId, name: saga, version, startedAt }: UnreadableSaga): SagaFacts {
  return { sagaId, saga, version, createdAt: startedAt, traceparent: null };
}

/** When a saga was started, as far as its journal can be read. */
export function startOf(entries: readonly RecordedEntry[]): number | null {
  return entries.find(({ kind }) => kind === 'saga_started')?.recordedAt.getTime() ?? null;
}

/** Whether the journal says already that it cannot be read. */
export function parkedUnread(entries: readonly RecordedEntry[]): boolean {
  const last = entries.findLast(({ kind }) => SAYS_WHERE.has(kind));
  if (last?.kind !== 'needs_attention') return false;
  return mailData(last.data ?? '').reason === 'journal_unreadable';
}

const SAYS_WHERE = new Set(['needs_attention', 'retry_requested', 'saga_ended']);

/** A saga that this engine cannot run stays its own, so that it is read once, unless a newer one can take it. */
function ownershipAfter(ended: boolean, becomes: FormattedDefinition | null): Ownership {
  if (ended) return { kind: 'give_back', wakeInMs: null };
  return becomes === null ? { kind: 'keep' } : { kind: 'give_back', wakeInMs: 0 };
}
