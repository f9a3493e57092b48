import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineSettings } from '@sagaz/core';
import { pick, planTrial, randomOf, type TrialPlan } from '@sagaz/core/testing';
import { disturbFleet, type TrialDisturbance } from './disturbances.js';
import type { Fleet, Member } from './fleet.js';
import { HeldOutside } from './held-outside.js';
import { sagaName, type TrialReport } from './protocol.js';
import { TrialBooks } from './trial-books.js';

export interface RoundSize {
  /** Trials at once. */
  readonly trials: number;
  /** How long processes are disturbed. */
  readonly disturbedMs: number;
}

/** When the disturbances are over, every saga must have ended or be parked within this time. */
const SETTLE_WITHIN_MS = 240_000;
/** Effects that are still under way, of a deaf step or a late reply, have arrived by then. */
const LATE_MS = 15_000;
/** After the end of all sagas, places are free and nothing waits in the outbox within this time. */
const PEACE_WITHIN_MS = 60_000;
const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 20_000;
/** A start that is not answered by then is asked for again, under the same idempotency key. */
const ANSWER_WITHIN_MS = 8_000;
/** Starts and requests are spread over less real time than they have of virtual time. */
const PACE = { starts: 0.5, acts: 0.2 };
const TICK_MS = 50;
const LOOK_EVERY_MS = 250;

/**
 * Runs random programs on real processes that are disturbed for a while; then their records are
 * checked.
 */
export class Round {
  readonly trials: readonly TrialPlan[];
  readonly disturbances: TrialDisturbance[] = [];
  /** The time from the last disturbance until every saga had ended or was parked. */
  settledAfterMs = 0;
  readonly #world: HeldOutside;
  readonly #books: TrialBooks;
  /** Sagas and places that an engine holds, as it last said. */
  readonly #held = new Map<Member, number>();
  #began = 0;

  constructor(
    private readonly fleet: Fleet,
    private readonly firstSeed: number,
    private readonly size: RoundSize,
    private readonly signal: AbortSignal,
  ) {
    this.trials = Array.from({ length: size.trials }, (_, at) => planTrial(firstSeed + at));
    const { sagas, wakeUps } = fleet.store;
    this.#world = new HeldOutside(randomOf(firstSeed), (mail) => {
      sagas.putMail([mail]).then(
        () => wakeUps.hint('saga'),
        // A reply is lost: the wait for it ends by its own time limit.
        () => undefined,
      );
    });
    this.#books = new TrialBooks(this.trials, fleet, this.#world);
  }

  get programs(): number {
    return this.#books.sagas.length;
  }

  /** Rejects with what does not hold, the seed, and the plan of the trial. */
  async run(): Promise<void> {
    try {
      await this.#run();
    } finally {
      this.#world.close();
    }
  }

  async #run(): Promise<void> {
    const { fleet, firstSeed, size } = this;
    const random = randomOf(firstSeed ^ 0x2545f491);
    const work = { firstSeed, trials: size.trials };
    await fleet.crew(work, settingsOf(random), (member, report) => this.#hear(member, report));
    await this.#until('The processes are ready', READY_WITHIN_MS, () =>
      fleet.members.every(({ process }) => process.ready),
    );
    this.#began = performance.now();
    const acts = this.#operators();
    await this.#disturb(random);
    const calmSince = performance.now();
    await this.#settle();
    this.settledAfterMs = performance.now() - calmSince;
    await sleep(LATE_MS);
    await acts;
    await this.#settle();
    await this.#peace();
    for (const saga of this.#books.sagas) await this.#books.check(saga);
    await this.#endParked();
    const stuck = await fleet.dismiss(STOP_WITHIN_MS);
    if (stuck.length > 0) throw new Error(`After SIGTERM they did not end: ${stuck.join(', ')}.`);
  }

  #hear(member: Member, report: TrialReport): void {
    switch (report.kind) {
      case 'ready':
        return;
      case 'started': {
        const saga = this.#books.named(report.saga);
        if (saga !== undefined) saga.id = report.id;
        return;
      }
      case 'held':
        this.#held.set(member, report.sagas + report.steps);
        return;
      case 'question': {
        const { number, question } = report;
        member.process.send({ kind: 'answer', number, ...this.#world.answer(question) });
        return;
      }
    }
  }

  async #disturb(random: () => number): Promise<void> {
    const calm = new AbortController();
    const note = (what: TrialDisturbance): void => void this.disturbances.push(what);
    const noise = AbortSignal.any([calm.signal, this.signal]);
    const disturbing = disturbFleet(this.fleet, random, note, noise);
    while (performance.now() < this.#began + this.size.disturbedMs && !this.signal.aborted) {
      this.#start();
      await sleep(TICK_MS);
    }
    calm.abort();
    await disturbing;
    this.signal.throwIfAborted();
  }

  /** Starts the sagas whose start is due and was not answered yet. */
  #start(): void {
    const now = performance.now() - this.#began;
    for (const saga of this.#books.sagas) {
      const dueAt = (saga.trial.startsAtMs[saga.at] ?? 0) * PACE.starts;
      if (saga.id !== null || dueAt > now) continue;
      if (saga.askedAt !== null && now - saga.askedAt < ANSWER_WITHIN_MS) continue;
      if (this.fleet.tellAny({ kind: 'start', saga: saga.name })) saga.askedAt = now;
    }
  }

  /** Sends the requests of each trial's operators at their times. */
  async #operators(): Promise<void> {
    const acts = this.trials.flatMap((trial) =>
      trial.acts.map((act) => ({ ...act, name: sagaName(trial.seed, act.saga) })),
    );
    for (const { request, name, atMs } of acts.sort((a, b) => a.atMs - b.atMs)) {
      await sleep(Math.max(0, this.#began + atMs * PACE.acts - performance.now()));
      const saga = this.#books.named(name);
      if (saga === undefined || saga.id === null) continue;
      if (request === 'terminate') saga.terminated = true;
      this.fleet.tellAny({ kind: 'ask', request, id: saga.id });
    }
  }

  async #settle(): Promise<void> {
    const what = 'Every saga has ended or is parked';
    try {
      await this.#until(what, SETTLE_WITHIN_MS, async () => {
        this.#start();
        return (await this.#books.open()).length === 0;
      });
    } catch (error) {
      const [first, ...others] = await this.#books.open();
      if (first === undefined || this.signal.aborted) throw error;
      const names = others.map(({ name }) => name).join(', ');
      // The check of one that has not ended says where it stands.
      await this.#books.check(first).catch((cause: unknown) => {
        throw new Error(`${messageOf(error)}\n${messageOf(cause)}\nThe others: ${names}`, {
          cause,
        });
      });
    }
  }

  /** No engine holds a saga or a place, and the outbox is empty. */
  async #peace(): Promise<void> {
    const { members } = this.fleet;
    await this.#until('Room returns in every engine', PEACE_WITHIN_MS, () => {
      const free = members.every((member) => this.#held.get(member) === 0);
      for (const { process } of members) process.send({ kind: 'look' });
      return free;
    });
    await this.#until('The outbox is empty', PEACE_WITHIN_MS, () => this.#books.outboxIsEmpty());
  }

  /** Checks that an operator can end each saga that needs a person. */
  async #endParked(): Promise<void> {
    for (const id of await this.#books.parked()) {
      this.fleet.tellAny({ kind: 'ask', request: 'terminate', id });
    }
    const none = async (): Promise<boolean> => (await this.#books.parked()).length === 0;
    await this.#until('Parked sagas are ended by an operator', PEACE_WITHIN_MS, none);
  }

  async #until(
    what: string,
    withinMs: number,
    holds: () => boolean | Promise<boolean>,
  ): Promise<void> {
    const end = performance.now() + withinMs;
    while (!(await holds())) {
      this.signal.throwIfAborted();
      if (performance.now() > end) {
        throw new Error(`${what}: not within ${String(withinMs / 1_000)} s.`);
      }
      await sleep(LOOK_EVERY_MS);
    }
  }
}

/** Little room, short leases, and the limits of the trials in memory. */
function settingsOf(random: () => number): Partial<EngineSettings> {
  return {
    ttlMs: 4_000,
    pollMs: 500,
    ownedCheckMs: 2_000,
    settleBoundMs: 2_000,
    shutdownMs: 8_000,
    maxInFlight: pick(random, 4, 8, 32),
    maxTransactions: pick(random, 1, 2),
    maxSagas: pick(random, 6, 20, 500),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
