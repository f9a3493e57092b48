import { checkSagaFilter, loadedBytes } from '../ports/index.js';
import type {
  ApplyOutcome,
  ClaimRequest,
  Clock,
  DroppedMail,
  EntryPlace,
  KeptCounts,
  LatestEntriesLook,
  LoadedSaga,
  MailFound,
  MailLook,
  NewMail,
  NewSaga,
  OutboxStore,
  RecordedEntry,
  RemovedSagas,
  RunnableSaga,
  SagaFilter,
  SagaRetention,
  SagaStatus,
  SagaStore,
  SagaSummary,
  SagaTransition,
  SettledOutcome,
  SharedTask,
  StartOutcome,
  StoreCounts,
  Transaction,
  TransitionOutcome,
  UnservedLook,
  UnservedSagas,
} from '../ports/index.js';
import { claimable, isOpen, lateAfterEnd } from './memory-claimable.js';
import type { MemoryEngineRegistry } from './memory-engine-registry.js';
import { keyOf, lockedSoon, locksOf, placesOf, refusal } from './memory-saga-locks.js';
import { mailFound } from './memory-mail-look.js';
import { MemorySagaJournal } from './memory-saga-journal.js';
import { MemorySagaMail } from './memory-saga-mail.js';
import {
  guard,
  headerOf,
  isOneOf,
  movedRow,
  rowOf,
  SagaRows,
  summaryOf,
  type SagaRow,
} from './memory-saga-rows.js';
import { latestEntries } from './memory-latest-entries.js';
import { removeOldRows, type KeptKey } from './memory-saga-retention.js';
import { MemorySharedWork } from './memory-shared-work.js';
import { MemoryTable } from './memory-table.js';
import type { MemoryTransaction, MemoryTransactions } from './memory-transaction.js';
import { unservedSagas } from './memory-unserved-sagas.js';
import { withinBytes } from './within-bytes.js';

/** How long a start waits for another transaction with the same idempotency key, in milliseconds. */
const KEY_WAIT_MS = 10_000;
/** How long the search for a lost transition waits for the lock of its row, in milliseconds. */
const SETTLE_WAIT_MS = 500;

export interface MemorySagaStoreParts {
  readonly transactions: MemoryTransactions;
  readonly clock: Clock;
  readonly engines: MemoryEngineRegistry;
  readonly outbox: Pick<OutboxStore, 'append'>;
}

/** Sagas in memory, with the locks, the visibility and so the races of a database in READ COMMITTED. */
export class MemorySagaStore implements SagaStore {
  readonly #parts: MemorySagaStoreParts;
  readonly #rows = new SagaRows();
  readonly #keys = new MemoryTable<KeptKey>();
  readonly #shared: MemorySharedWork;
  readonly #journal: MemorySagaJournal;
  readonly #mail = new MemorySagaMail();
  readonly #tables = { rows: this.#rows, mail: this.#mail };

  constructor(parts: MemorySagaStoreParts) {
    this.#parts = parts;
    this.#journal = new MemorySagaJournal(parts.clock);
    this.#shared = new MemorySharedWork(parts.clock);
  }

  async start(
    sagas: readonly NewSaga[],
    transaction?: Transaction,
  ): Promise<readonly StartOutcome[]> {
    const ordered = [...sagas.entries()].sort(([, a], [, b]) => (keyOf(a) < keyOf(b) ? -1 : 1));
    return this.#parts.transactions.within(transaction, async (own) => {
      const outcomes: StartOutcome[] = [];
      for (const [at, saga] of ordered) {
        const locks = locksOf(saga);
        // As with a unique index, the second writer waits for the end of the first, and then reads.
        if (transaction !== undefined) {
          for (const lock of locks) await own.lock(lock, { waitMs: KEY_WAIT_MS });
        }
        const free = locks.every((lock) => own.tryLock(lock));
        const refused = refusal(saga.entries) ?? (free ? null : { kind: 'busy' });
        outcomes[at] = refused ?? (await this.#insert(saga, own));
      }
      return outcomes;
    });
  }

  async flush(transitions: readonly SagaTransition[]): Promise<readonly TransitionOutcome[]> {
    const ordered = [...transitions.entries()].sort(([, a], [, b]) =>
      a.sagaId < b.sagaId ? -1 : 1,
    );
    return this.#parts.transactions.within(undefined, async (transaction) => {
      const outcomes: TransitionOutcome[] = [];
      const seen = new Set<string>();
      for (const [at, transition] of ordered) {
        const id = transition.sagaId;
        // Two transitions of a saga in one statement would change the row once and acknowledge both.
        const free =
          !seen.has(id) &&
          placesOf(transition.messages).every((place) => transaction.tryLock(place)) &&
          transaction.tryLock(`saga:${id}`);
        seen.add(id);
        outcomes[at] = free ? await this.#write(transition, transaction) : { kind: 'busy' };
      }
      return outcomes;
    });
  }

  async apply(transition: SagaTransition, transaction: Transaction): Promise<ApplyOutcome> {
    return this.#parts.transactions.within(transaction, async (own) => {
      for (const place of placesOf(transition.messages)) {
        if (!(await lockedSoon(own, place))) return { kind: 'key_busy' };
      }
      if (!(await lockedSoon(own, `saga:${transition.sagaId}`))) return { kind: 'busy' };
      return this.#write(transition, own);
    });
  }

  async settle(transition: SagaTransition): Promise<SettledOutcome> {
    return this.#parts.transactions.within(undefined, async (own) => {
      await own.lock(`saga:${transition.sagaId}`, { waitMs: SETTLE_WAIT_MS });
      const row = this.#rows.get(transition.sagaId);
      if (row === undefined) return { kind: 'missing' };
      if (this.#journal.of(row.id).some((entry) => entry.transitionId === transition.id))
        return { kind: 'applied' };
      return guard(row, transition) ?? { kind: 'not_applied' };
    });
  }

  async claim(request: ClaimRequest): Promise<readonly LoadedSaga[]> {
    return this.#parts.transactions.within(undefined, (transaction) => {
      const claimed: LoadedSaga[] = [];
      let bytes = 0;
      const mailed = new Set(request.mailed);
      const { clock, engines } = this.#parts;
      const look = { now: clock.now(), engines, mailed, format: request.format };
      for (const id of claimable(this.#tables, look)) {
        if (claimed.length >= request.limit || bytes >= (request.bytes ?? Infinity)) break;
        const seen = this.#rows.get(id);
        if (seen === undefined || seen.format > request.format) continue;
        if (!isOneOf(seen, request.definitions)) continue;
        if (!transaction.tryLock(`saga:${id}`)) continue;
        const row: SagaRow = {
          ...seen,
          owner: request.incarnation,
          epoch: seen.epoch + 1,
          wakeAt: null,
          updatedAt: this.#parts.clock.date(),
        };
        this.#rows.set(id, row, transaction);
        const loaded = this.#load(row, seen.owner);
        bytes += loadedBytes(loaded);
        claimed.push(loaded);
      }
      return claimed;
    });
  }

  owned(incarnation: string): Promise<readonly string[]> {
    const late = lateAfterEnd(this.#tables).filter((row) => row.owner === incarnation);
    const owned = this.#rows.byOwner.get(incarnation) ?? [];
    return Promise.resolve([...owned, ...late.map(({ id }) => id)]);
  }

  load(
    ids: readonly string[],
    incarnation: string,
    bytes = Infinity,
  ): Promise<readonly LoadedSaga[]> {
    const rows = ids.flatMap((id) => this.#rows.get(id) ?? []);
    const mine = rows.filter((row) => row.owner === incarnation && isOpen(this.#tables, row));
    const loaded = mine.map((row) => this.#load(row, null));
    return Promise.resolve(withinBytes(loaded, bytes, loadedBytes));
  }

  unserved(look: UnservedLook): Promise<readonly UnservedSagas[]> {
    const { clock, engines } = this.#parts;
    const heard = engines.heardLately(look.olderThanMs);
    const now = clock.now();
    const waiting = [...claimable(this.#tables, { now, engines: heard, mailed: null })];
    const rows = waiting.flatMap((id) => this.#rows.get(id) ?? []);
    return Promise.resolve(unservedSagas(rows, look, clock, heard));
  }

  nextDueInMs(definitions: readonly RunnableSaga[], format: number): Promise<number | null> {
    const next = this.#rows.nextWakeAt(definitions, format);
    return Promise.resolve(next === null ? null : Math.max(0, next - this.#parts.clock.now()));
  }

  async putMail(mail: readonly NewMail[], transaction?: Transaction): Promise<void> {
    await this.#parts.transactions.within(transaction, (own) =>
      this.#mail.put(mail, own, () => this.#parts.clock.now()),
    );
  }

  lookForMail(look: MailLook): Promise<MailFound> {
    return Promise.resolve(mailFound(this.#mail, this.#rows, look));
  }

  dropDeadMail(orphanAgeMs: number, format: number): Promise<DroppedMail> {
    const putBefore = this.#parts.clock.now() - orphanAgeMs;
    const statusOf = (id: string): SagaStatus | undefined => this.#rows.get(id)?.status;
    const dropped = this.#mail.dropDead(statusOf, putBefore, format);
    return Promise.resolve({ dropped, more: false });
  }

  takeTurn(task: SharedTask, everyMs: number): Promise<boolean> {
    return this.#shared.takeTurn(task, everyMs);
  }

  removeOld(keep: SagaRetention, limit: number): Promise<RemovedSagas> {
    return this.#parts.transactions.within(undefined, (own) => {
      const now = this.#parts.clock.date().getTime();
      const { removed, sagas } = removeOldRows(this.#rows, this.#keys, { keep, limit, now }, own);
      own.stage(() => {
        for (const { id } of sagas) this.#journal.delete(id);
      });
      return removed;
    });
  }

  get(id: string, transaction?: Transaction): Promise<SagaSummary | null> {
    const own = transaction === undefined ? undefined : this.#parts.transactions.own(transaction);
    const row = this.#rows.get(id, own);
    return Promise.resolve(row === undefined ? null : summaryOf(row, this.#parts.clock.now()));
  }

  statusesOf(ids: readonly string[]): Promise<ReadonlyMap<string, SagaStatus>> {
    const rows = ids.flatMap((id) => this.#rows.get(id) ?? []);
    return Promise.resolve(new Map(rows.map(({ id, status }) => [id, status])));
  }

  async find(filter: SagaFilter): Promise<readonly SagaSummary[]> {
    checkSagaFilter(filter);
    return this.#rows.find(filter, this.#parts.clock.now());
  }

  history(
    id: string,
    { onDemand = 'read' }: { readonly onDemand?: 'read' | 'leave' } = {},
  ): Promise<readonly RecordedEntry[]> {
    const whole = onDemand === 'read';
    return Promise.resolve(whole ? this.#journal.of(id) : this.#journal.withoutLarge(id));
  }

  dataOf(
    id: string,
    places: readonly EntryPlace[],
    bytes = Infinity,
  ): Promise<readonly (string | null)[]> {
    return Promise.resolve(this.#journal.dataOf(id, places, bytes));
  }

  latestEntries(look: LatestEntriesLook): Promise<ReadonlyMap<string, readonly RecordedEntry[]>> {
    return Promise.resolve(latestEntries(this.#journal.all, look));
  }

  countByStatus(): Promise<ReadonlyMap<SagaStatus, number>> {
    return Promise.resolve(this.#rows.counts());
  }

  keepCounts(counts: StoreCounts): Promise<void> {
    return this.#shared.keepCounts(counts);
  }

  keptCounts(): Promise<KeptCounts | null> {
    return this.#shared.keptCounts();
  }

  async #insert(saga: NewSaga, transaction: MemoryTransaction): Promise<StartOutcome> {
    const key = keyOf(saga);
    const kept = this.#keys.get(key, transaction);
    const there = this.#rows.get(kept?.sagaId ?? saga.id, transaction);
    if (kept !== undefined || there !== undefined) {
      const id = kept?.sagaId ?? saga.id;
      const inputDigest = kept?.inputDigest ?? there?.inputDigest ?? '';
      const first = this.#journal.of(id)[0];
      const sameStart = id === saga.id && first?.transitionId === saga.transitionId;
      return { kind: 'exists', id, inputDigest, sameStart };
    }
    if (saga.key !== null) {
      const startedAt = this.#parts.clock.date();
      this.#keys.set(
        key,
        { sagaId: saga.id, inputDigest: saga.inputDigest, startedAt },
        transaction,
      );
    }
    this.#rows.set(saga.id, rowOf(saga, this.#parts.clock), transaction);
    this.#journal.record(saga.id, 0, { ...saga, id: saga.transitionId }, transaction);
    if (saga.messages.length > 0) await this.#parts.outbox.append(saga.messages, transaction);
    return { kind: 'started' };
  }

  /** The row, after the transaction has locked it. */
  async #write(
    transition: SagaTransition,
    transaction: MemoryTransaction,
  ): Promise<TransitionOutcome> {
    const row = this.#rows.get(transition.sagaId, transaction);
    if (row === undefined) return { kind: 'missing' };
    const refused = guard(row, transition);
    if (refused !== null) return refused;
    const unstorable = refusal(transition.entries);
    if (unstorable !== null) return unstorable;
    const moved = movedRow(row, transition, this.#parts.clock);
    this.#rows.set(row.id, moved, transaction);
    this.#journal.record(row.id, moved.revision, transition, transaction);
    this.#mail.take(row.id, transition.consumedMail, transaction);
    if (transition.messages.length > 0) {
      await this.#parts.outbox.append(transition.messages, transaction);
    }
    if (transition.mail.length > 0) {
      await this.#mail.put(transition.mail, transaction, () => this.#parts.clock.now());
    }
    for (const saga of transition.sagas) {
      await this.#insert({ ...saga, key: null, messages: [] }, transaction);
    }
    return { kind: 'applied' };
  }

  #load(row: SagaRow, before: string | null): LoadedSaga {
    return {
      ...headerOf(row, this.#parts.clock.now()),
      entries: this.#journal.withoutLarge(row.id),
      mail: this.#mail.of(row.id),
      adoptedFrom: before,
    };
  }
}
