import {
  hintSlots,
  isFinal,
  type ApplyOutcome,
  type ClaimRequest,
  type DroppedMail,
  type EntryPlace,
  type KeptCounts,
  type LatestEntriesLook,
  type LoadedSaga,
  type Logger,
  type MailFound,
  type MailLook,
  type NewMail,
  type NewSaga,
  type RecordedEntry,
  type RemovedSagas,
  type RunnableSaga,
  type SagaFilter,
  type SagaRetention,
  type SagaStatus,
  type SagaStore,
  type SagaSummary,
  type SagaTransition,
  type SettledOutcome,
  type SharedTask,
  type StartOutcome,
  type StoreCounts,
  type Transaction,
  type TransitionOutcome,
  type UnservedLook,
  type UnservedSagas,
  type WakeUps,
} from '@sagaz/core';
import type { PgTransaction, PgTransactions, SagazPool, SchemaName } from '../connection/index.js';
import { PartitionUpkeep } from '../partitions/index.js';
import { Definitions } from './definitions.js';
import { SagaClaimer } from './saga-claimer.js';
import { MailLooks } from './mail-looks.js';
import { MailTidying } from './mail-tidying.js';
import { putMail, putMailApart } from './saga-mail.js';
import { readData, readHistories, readLatestEntries } from './saga-histories.js';
import { countSagas, keepCounts, keptCounts } from './saga-counts.js';
import { SagaQueries } from './saga-queries.js';
import { SagaRemoval, takeTurn } from './saga-retention.js';
import { SagaStarter } from './saga-starter.js';
import { TransitionWriter } from './transition-writer.js';
import { UnservedSagaReads } from './unserved-saga-reads.js';
import { UUID } from './uuid.js';

export interface PgSagaStoreParts {
  readonly pool: SagazPool;
  readonly transactions: PgTransactions;
  readonly schema: SchemaName;
  readonly wakeUps: Pick<WakeUps, 'hint'>;
  readonly logger: Logger;
}

/** Sagas in PostgreSQL. */
export class PgSagaStore implements SagaStore {
  readonly #pool: SagazPool;
  readonly #transactions: PgTransactions;
  readonly #schema: SchemaName;
  readonly #wakeUps: Pick<WakeUps, 'hint'>;
  readonly #definitions: Definitions;
  readonly #mailLooks: MailLooks;
  readonly #tidying: MailTidying;
  readonly #removal: SagaRemoval;
  readonly #queries: SagaQueries;
  readonly #starter: SagaStarter;
  readonly #claimer: SagaClaimer;
  readonly #writer: TransitionWriter;
  readonly #unserved: UnservedSagaReads;

  constructor({ pool, transactions, schema, wakeUps, logger }: PgSagaStoreParts) {
    this.#pool = pool;
    this.#transactions = transactions;
    this.#schema = schema;
    this.#wakeUps = wakeUps;
    this.#definitions = new Definitions(pool.for('flush'), schema);
    this.#starter = new SagaStarter(pool.for('flush'), schema, this.#definitions);
    this.#claimer = new SagaClaimer(pool.for('work'), schema, this.#definitions);
    this.#mailLooks = new MailLooks(pool.for('work'), schema, this.#definitions);
    this.#tidying = new MailTidying(pool, schema);
    this.#removal = new SagaRemoval(pool, schema, new PartitionUpkeep(pool, schema, logger));
    this.#queries = new SagaQueries(pool, schema, this.#definitions);
    this.#writer = new TransitionWriter(pool, transactions, schema, this.#definitions);
    this.#unserved = new UnservedSagaReads(pool, schema);
  }

  async start(
    sagas: readonly NewSaga[],
    transaction?: Transaction,
  ): Promise<readonly StartOutcome[]> {
    const own = this.#own(transaction);
    const outcomes = await this.#starter.start(sagas, own);
    const started = sagas.filter((_, at) => outcomes[at]?.kind === 'started');
    this.#committed(own, () => {
      if (started.some(({ owner, wakeInMs }) => owner === null && wakeInMs !== null)) {
        this.#wakeUps.hint('saga');
      }
      hintSlots(
        this.#wakeUps,
        'outbox',
        started.flatMap(({ messages }) => messages),
      );
    });
    return outcomes;
  }

  async flush(transitions: readonly SagaTransition[]): Promise<readonly TransitionOutcome[]> {
    const outcomes = await this.#writer.flush(transitions);
    this.#hint(transitions.filter((_, at) => outcomes[at]?.kind === 'applied'));
    return outcomes;
  }

  async apply(transition: SagaTransition, transaction: Transaction): Promise<ApplyOutcome> {
    const own = this.#transactions.own(transaction);
    const outcome = await this.#writer.apply(transition, own);
    if (outcome.kind === 'applied') {
      own.afterCommit(() => {
        this.#hint([transition]);
      });
    }
    return outcome;
  }

  async settle(transition: SagaTransition): Promise<SettledOutcome> {
    const outcome = await this.#writer.settle(transition);
    // The statement whose answer was lost told nobody.
    if (outcome.kind === 'applied') this.#hint([transition]);
    return outcome;
  }

  claim(request: ClaimRequest): Promise<readonly LoadedSaga[]> {
    return this.#claimer.claim(request);
  }

  owned(incarnation: string): Promise<readonly string[]> {
    return this.#claimer.owned(incarnation);
  }

  load(
    ids: readonly string[],
    incarnation: string,
    bytes?: number,
  ): Promise<readonly LoadedSaga[]> {
    return this.#claimer.load(ids, incarnation, bytes);
  }

  unserved(look: UnservedLook): Promise<readonly UnservedSagas[]> {
    return this.#unserved.find(look);
  }

  nextDueInMs(definitions: readonly RunnableSaga[], format: number): Promise<number | null> {
    return this.#claimer.nextDueInMs(definitions, format);
  }

  async putMail(mail: readonly NewMail[], transaction?: Transaction): Promise<void> {
    const own = this.#own(transaction);
    if (own === undefined) {
      await putMailApart(this.#pool.for('flush'), this.#schema, this.#definitions, mail);
    } else {
      await putMail(own, this.#schema, this.#definitions, mail);
    }
    this.#committed(own, () => {
      this.#wakeUps.hint('saga');
    });
  }

  lookForMail(look: MailLook): Promise<MailFound> {
    return this.#mailLooks.look(look);
  }

  dropDeadMail(orphanAgeMs: number, format: number): Promise<DroppedMail> {
    return this.#tidying.page(orphanAgeMs, format);
  }

  takeTurn(task: SharedTask, everyMs: number): Promise<boolean> {
    return takeTurn(this.#pool.for('work'), this.#schema, task, everyMs);
  }

  removeOld(keep: SagaRetention, limit: number): Promise<RemovedSagas> {
    return this.#removal.remove(keep, limit);
  }

  get(id: string, transaction?: Transaction): Promise<SagaSummary | null> {
    return this.#queries.get(id, this.#own(transaction));
  }

  statusesOf(ids: readonly string[]): Promise<ReadonlyMap<string, SagaStatus>> {
    return this.#queries.statusesOf(ids);
  }

  find(filter: SagaFilter): Promise<readonly SagaSummary[]> {
    return this.#queries.find(filter);
  }

  async history(
    id: string,
    { onDemand = 'read' }: { readonly onDemand?: 'read' | 'leave' } = {},
  ): Promise<readonly RecordedEntry[]> {
    const histories = await readHistories(this.#pool, this.#schema, [id], onDemand);
    return histories.get(id) ?? [];
  }

  async dataOf(
    id: string,
    places: readonly EntryPlace[],
    bytes = 2 ** 50,
  ): Promise<readonly (string | null)[]> {
    if (places.length === 0 || !UUID.test(id)) return [];
    return readData(this.#pool.for('work'), this.#schema, id, places, bytes);
  }

  latestEntries(look: LatestEntriesLook): Promise<ReadonlyMap<string, readonly RecordedEntry[]>> {
    return readLatestEntries(this.#pool, this.#schema, look);
  }

  countByStatus(): Promise<ReadonlyMap<SagaStatus, number>> {
    return countSagas(this.#pool.for('count'), this.#schema);
  }

  keepCounts(counts: StoreCounts): Promise<void> {
    return keepCounts(this.#pool.for('work'), this.#schema, counts);
  }

  keptCounts(): Promise<KeptCounts | null> {
    return keptCounts(this.#pool.for('work'), this.#schema);
  }

  #own(transaction: Transaction | undefined): PgTransaction | undefined {
    return transaction === undefined ? undefined : this.#transactions.own(transaction);
  }

  /** Sends a hint after the commit, because before it the change cannot be seen. */
  #committed(transaction: PgTransaction | undefined, hint: () => void): void {
    if (transaction === undefined) hint();
    else transaction.afterCommit(hint);
  }

  #hint(applied: readonly SagaTransition[]): void {
    // Engines tell of ends themselves, also of those in a transaction of the application.
    const due = applied.some(
      ({ status, ownership, mail, sagas }) =>
        mail.length > 0 ||
        sagas.length > 0 ||
        (!isFinal(status) && ownership.kind === 'give_back' && ownership.wakeInMs === 0),
    );
    if (due) this.#wakeUps.hint('saga');
    hintSlots(
      this.#wakeUps,
      'outbox',
      applied.flatMap(({ messages }) => messages),
    );
  }
}
