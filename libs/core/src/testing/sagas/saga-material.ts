import { newId, newNonce } from '../../ids.js';
import {
  FORMAT,
  type EngineRegistry,
  type JournalEntry,
  type LoadedSaga,
  type Mail,
  type MailFound,
  type MailLook,
  type MailMark,
  type NewMail,
  type NewSaga,
  type OutboxMessage,
  type RunnableSaga,
  type SagaStore,
  type SagaTransition,
  type Transaction,
  type Transactions,
} from '../../ports/index.js';
import { freshName } from '../contract-case.js';
import { Gate } from '../gates.js';

/** The parts that an implementation gives to the contract of saga stores. */
export interface SagaStoreFixture {
  readonly sagas: SagaStore;
  /** The same data, as another process sees it; may be the same object where that is no difference. */
  readonly other: SagaStore;
  readonly engines: EngineRegistry;
  readonly transactions: Transactions;
  /** How many messages of this key lie in the outbox. */
  messagesOf(key: string): Promise<number>;
  /** Lets time pass by the store's clock. */
  pass(ms: number): Promise<void>;
}

export function entry(kind: string, data: string | null = null): JournalEntry {
  return { kind, step: null, item: null, attempt: 0, data };
}

export function message(key: string): OutboxMessage {
  return {
    id: newId(),
    tenant: '',
    topic: 'contract',
    key,
    type: 'contract.message',
    source: 'contract',
    time: '2026-01-01T00:00:00.000Z',
    contentType: 'application/json',
    payload: new TextEncoder().encode('{"n":1}'),
    headers: { 'sagaz-role': 'command' },
    ordered: true,
    delayMs: 0,
  };
}

/** A saga of a name nobody else has, so that claims of other cases do not take it. */
export function newSaga(change: Partial<NewSaga> = {}): NewSaga {
  return {
    id: newId(),
    tenant: '',
    name: freshName('saga'),
    version: 1,
    format: FORMAT,
    key: null,
    inputDigest: 'digest',
    status: 'pending',
    owner: null,
    wakeInMs: change.owner === undefined || change.owner === null ? 0 : null,
    deadlineInMs: null,
    transitionId: newNonce(),
    entries: [entry('saga_started', '{"input":1}')],
    messages: [],
    ...change,
  };
}

/** Registers an engine that lives for the whole case. */
export async function engine(
  fixture: SagaStoreFixture,
  ttlMs = 600_000,
  runs: readonly RunnableSaga[] = [],
  format = FORMAT,
): Promise<string> {
  const incarnation = newNonce();
  const identity = { service: 'contract', host: 'here', pid: 1 };
  await fixture.engines.register({ incarnation, ...identity, ttlMs, runs, format });
  return incarnation;
}

/** An engine that is dead already: it never registered, or its row is gone. */
export function deadEngine(): string {
  return newNonce();
}

/** A saga that an engine owns, as {@link SagaStore.start} leaves it. */
export async function ownedSaga(
  fixture: SagaStoreFixture,
  owner: string,
  change: Partial<NewSaga> = {},
): Promise<NewSaga> {
  const saga = newSaga({ status: 'running', owner, ...change });
  await fixture.sagas.start([saga]);
  return saga;
}

export function transition(
  saga: NewSaga | LoadedSaga,
  owner: string,
  change: Partial<SagaTransition> = {},
): SagaTransition {
  const loaded = 'revision' in saga ? saga : null;
  return {
    id: newNonce(),
    sagaId: saga.id,
    owner,
    epoch: loaded?.epoch ?? 1,
    revision: loaded?.revision ?? 0,
    status: 'running',
    ownership: { kind: 'keep' },
    entries: [entry('step_completed')],
    messages: [],
    consumedMail: [],
    mail: [],
    sagas: [],
    becomes: null,
    ...change,
  };
}

export function letter(sagaId: string, change: Partial<NewMail> = {}): NewMail {
  return {
    sagaId,
    kind: 'reply',
    dedupeKey: freshName('letter'),
    data: '{"status":"ok"}',
    ...change,
  };
}

/** The unread mail of the sagas that an incarnation owns. */
export async function unreadMail(
  store: SagaStore,
  incarnation: string,
  definitions: readonly RunnableSaga[] = [],
): Promise<readonly Mail[]> {
  return (await allMail(store, { incarnation, definitions, format: FORMAT })).mail;
}

/** Looks at all unread mail, page by page. */
async function allMail(
  store: SagaStore,
  look: Omit<MailLook, 'from'>,
): Promise<Pick<MailFound, 'mail' | 'wakes'>> {
  const mail: Mail[] = [];
  const wakes: string[] = [];
  let from: MailMark | null = null;
  for (;;) {
    const found: MailFound = await store.lookForMail({ ...look, from });
    mail.push(...found.mail);
    wakes.push(...found.wakes);
    if (!found.more) return { mail, wakes };
    from = found.mark;
  }
}

/** Claims as an engine does: it looks for mail first. */
export async function claim(
  fixture: SagaStoreFixture,
  incarnation: string,
  name: string,
  change: {
    versions?: readonly number[];
    limit?: number;
    store?: SagaStore;
    format?: number;
    bytes?: number;
  } = {},
): Promise<readonly LoadedSaga[]> {
  const store = change.store ?? fixture.sagas;
  const request = {
    incarnation,
    definitions: [{ name, versions: change.versions ?? [1] }],
    format: change.format ?? FORMAT,
  };
  const { wakes } = await allMail(store, request);
  return store.claim({
    ...request,
    mailed: wakes,
    limit: change.limit ?? 100,
    ...(change.bytes === undefined ? {} : { bytes: change.bytes }),
  });
}

/** A transaction that stays open until it is told how to end. */
export interface OpenTransaction {
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

class RolledBack extends Error {}

/** Runs `work` in a transaction and leaves it open. */
export async function openTransaction(
  fixture: SagaStoreFixture,
  work: (transaction: Transaction) => Promise<unknown>,
): Promise<OpenTransaction> {
  const gate = new Gate();
  let fails = false;
  const running = fixture.transactions.run(async (transaction) => {
    await work(transaction);
    await gate.pass();
    if (fails) throw new RolledBack();
  });
  const ended = running.catch((error: unknown) => {
    if (!(error instanceof RolledBack)) throw error;
  });
  // Rejects when the work does; the gate is reached otherwise.
  await Promise.race([gate.reached, ended]);
  return {
    commit: async () => {
      gate.open();
      await running;
    },
    rollback: async () => {
      fails = true;
      gate.open();
      await ended;
    },
  };
}

/** Whether a promise is still pending after everything had its chance to run. */
export async function pendingStill(
  fixture: SagaStoreFixture,
  promise: Promise<unknown>,
): Promise<boolean> {
  let pending = true;
  const done = (): void => {
    pending = false;
  };
  promise.then(done, done);
  await fixture.pass(50);
  return pending;
}

/** Whether a promise settles although no gate is opened for it. */
export async function settlesByItself(
  fixture: SagaStoreFixture,
  promise: Promise<unknown>,
): Promise<boolean> {
  for (let round = 0; round < 40; round += 1) {
    if (!(await pendingStill(fixture, promise))) return true;
  }
  return false;
}
