import type { RecordedEntry, SagaStatus } from '@sagaz/core';
import {
  checkSaga,
  describeTrial,
  isSettled,
  programOf,
  type SagaEvidence,
  type TrialPlan,
  type TrialWorld,
} from '@sagaz/core/testing';
import type { Fleet } from './fleet.js';
import type { HeldOutside } from './held-outside.js';
import { sagaName } from './protocol.js';
import { SCHEMA } from './tables.js';

/** The checks need the definition of a saga; nothing runs here. */
const nowhere: TrialWorld = {
  outside: { apply: () => undefined, undo: () => undefined },
  random: () => 0,
  write: () => undefined,
  sleep: () => Promise.resolve(),
  die: () => new Promise(() => undefined),
  called: () => 0,
};

/** One saga of a trial, and what became of its start. */
export interface TrialSaga {
  readonly name: string;
  readonly trial: TrialPlan;
  readonly at: number;
  /** Null until its start is answered. */
  id: string | null;
  /** When its start was asked for last, in milliseconds from the beginning of the round. */
  askedAt: number | null;
  /** An operator asked for its end. */
  terminated: boolean;
}

/** Reads what the sagas of a round have left behind, straight from the server and not through any proxy. */
export class TrialBooks {
  readonly sagas: readonly TrialSaga[];
  readonly #fleet: Fleet;
  readonly #world: HeldOutside;

  constructor(trials: readonly TrialPlan[], fleet: Fleet, world: HeldOutside) {
    this.#fleet = fleet;
    this.#world = world;
    this.sagas = trials.flatMap((trial) =>
      trial.sagas.map((_, at) => {
        const name = sagaName(trial.seed, at);
        return { name, trial, at, id: null, askedAt: null, terminated: false };
      }),
    );
  }

  named(name: string): TrialSaga | undefined {
    return this.sagas.find((saga) => saga.name === name);
  }

  /** Sagas that have not ended and do not wait for a person. */
  async open(): Promise<readonly TrialSaga[]> {
    const statuses = await this.#statuses();
    return this.sagas.filter(({ id }) => id === null || !isSettled(statuses.get(id)));
  }

  /** Ids of those that wait for a person. */
  async parked(): Promise<readonly string[]> {
    const statuses = await this.#statuses();
    return [...statuses].flatMap(([id, status]) => (status === 'needs_attention' ? [id] : []));
  }

  async outboxIsEmpty(): Promise<boolean> {
    const { rowCount } = await this.#fleet.pool.query(`SELECT FROM ${SCHEMA}.message LIMIT 1`);
    return rowCount === 0;
  }

  /** Rejects where a saga has not done what its journal says, or has an owner although it is over. */
  async check(saga: TrialSaga): Promise<void> {
    try {
      checkSaga(await this.#evidence(saga));
      const found = saga.id === null ? null : await this.#fleet.store.sagas.get(saga.id);
      if (found?.owner != null) throw new Error(`${found.status}, and it still has an owner`);
    } catch (error) {
      const told = error instanceof Error ? error.message : String(error);
      const text = `Seed ${String(saga.trial.seed)}, ${saga.id ?? 'not started'}: ${told}`;
      throw new Error(`${text}\n${describeTrial(saga.trial)}`, { cause: error });
    }
  }

  async #statuses(): Promise<ReadonlyMap<string, SagaStatus>> {
    const ids = this.sagas.flatMap(({ id }) => (id === null ? [] : [id]));
    return this.#fleet.store.sagas.statusesOf(ids);
  }

  async #evidence(saga: TrialSaga): Promise<SagaEvidence> {
    const { store, pool } = this.#fleet;
    const { trial, at, terminated } = saga;
    const id = saga.id ?? '';
    const plan = trial.sagas[at];
    if (plan === undefined) throw new TypeError(`There is no saga ${saga.name}.`);
    const history = saga.id === null ? [] : await store.sagas.history(id);
    const written = await pool.query<{ key: string }>(
      'SELECT key FROM app.written WHERE starts_with(key, $1)',
      [`${id}:`],
    );
    const { applied, undone } = this.#world.outside;
    return {
      saga: at,
      id,
      plan,
      definition: programOf(plan, at, nowhere, saga.name).definition,
      bystander: at === trial.sagas.length - 1,
      terminated,
      status: saga.id === null ? undefined : (await store.sagas.get(id))?.status,
      journal: history.map(line),
      reason: history.findLast(({ kind }) => kind === 'needs_attention')?.data ?? null,
      applied,
      undone,
      rows: written.rows.map(({ key }) => `${key} `),
      wrongKeys: this.#world.wrongKeys.get(saga.name) ?? [],
    };
  }
}

function line({ kind, step }: RecordedEntry): string {
  return step === null ? kind : `${kind} ${step}`;
}
