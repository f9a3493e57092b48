import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { errorMessage, redact, type Broker, type Clock } from '@sagaz/core';
import { Connections } from '../enlist/index.js';
import {
  BrokerState,
  RecentAnswer,
  UnservedQueues,
  UnservedSagaWatches,
  Workers,
  type Answer,
  type Worker,
} from '../lifecycle/index.js';
import { SAGAZ_BROKER, SAGAZ_CLOCK } from '../tokens/index.js';
import { brokerIndicator, isForgiven } from './broker-indicator.js';

/**
 * The longest wait for an answer, in ms. A probe that takes longer is abandoned by its caller, who then
 * does not learn which part hung.
 */
const WITHIN_MS = 3_000;
/**
 * The health of Sagaz as Terminus indicators: `up`, or `down` with the problem. For health controllers
 * of your own; {@link SagazHealthModule} contains a ready one. Each indicator answers within 3 s, even
 * if a server hangs.
 */
@Injectable()
export class SagazHealth {
  readonly #databases: readonly { readonly name: string; readonly answer: RecentAnswer<void> }[];
  readonly #broker: BrokerState | null;

  constructor(
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
    @Inject(Connections) connections: Connections,
    @Inject(SAGAZ_BROKER) broker: Broker | null,
    @Inject(SAGAZ_CLOCK) clock: Clock,
    @Inject(Workers) private readonly workers: Workers,
    @Inject(UnservedQueues) private readonly queues: UnservedQueues,
    @Inject(UnservedSagaWatches) private readonly sagas: UnservedSagaWatches,
  ) {
    const options = { clock, keepMs: 0, withinMs: WITHIN_MS };
    this.#databases = connections.all.map(({ name, store }) => ({
      name,
      answer: new RecentAnswer(() => store.health(), options),
    }));
    this.#broker = broker === null ? null : new BrokerState(broker, options);
  }

  /** The databases of all stores. */
  async database(): Promise<HealthIndicatorResult> {
    const indicator = this.indicators.check('database');
    const problems = await Promise.all(
      this.#databases.map(async ({ name, answer }) => {
        const problem = problemOf(await answer.now());
        if (problem === null) return [];
        return [this.#databases.length === 1 ? problem : `${name}: ${problem}`];
      }),
    );
    const down = problems.flat();
    return down.length === 0 ? indicator.up() : indicator.down(down.join('; '));
  }

  /**
   * The broker; `up` if none is configured, or if this process can do its work without it: its messages
   * wait in the outbox, and its sagas wait for their replies. Also `up`, with the problem, while a broker
   * that this process was connected to has been away for less than 10 s. Always `down` while the broker
   * refuses this process, because only a person can change that.
   */
  async broker(): Promise<HealthIndicatorResult> {
    const indicator = this.indicators.check('broker');
    const health = await this.#broker?.now();
    if (health === undefined) return indicator.up();
    return brokerIndicator(indicator, health, () =>
      this.workers.all.some((worker) => worker.withoutBroker?.() === 'stops'),
    );
  }

  /** The background work of this process (engine, relay, consumers), one indicator for each. */
  async work(): Promise<HealthIndicatorResult> {
    let result: HealthIndicatorResult = {};
    for (const worker of this.workers.all) {
      const indicator = this.indicators.check(worker.name);
      const problem = worker.problem();
      const stuck = stuckIn(worker);
      if (problem === null && stuck === null) result = { ...result, ...indicator.up() };
      else if (problem === null) result = { ...result, ...indicator.up({ message: stuck }) };
      else if (await this.#waitsForBroker(worker)) {
        result = { ...result, ...indicator.up({ message: `waits for the broker: ${problem}` }) };
      } else result = { ...result, ...indicator.down(redact(problem)) };
    }
    return result;
  }

  /**
   * Queues and sagas in the whole system that wait and that no living process takes. Always `up`,
   * because this process is not at fault. `notLookedAt` names the connections whose database role may not
   * read sagas.
   */
  unserved(): HealthIndicatorResult {
    const queues = this.queues.current.map(({ kind, name, oldestMs, waiting }) => ({
      kind,
      name,
      oldestSeconds: Math.round(oldestMs / 1_000),
      ...(waiting === undefined ? {} : { count: waiting }),
    }));
    const sagas = this.sagas.current.map(({ name, version, format, count, oldestMs }) => ({
      kind: 'saga',
      name,
      version,
      format,
      count,
      oldestSeconds: Math.round(oldestMs / 1_000),
    }));
    const found = [...queues, ...sagas];
    const indicator = this.indicators.check('unserved');
    const notLookedAt = this.sagas.refused;
    if (found.length === 0 && notLookedAt.length === 0) return indicator.up();
    return indicator.up({
      ...(found.length === 0 ? {} : { found }),
      ...(notLookedAt.length === 0 ? {} : { notLookedAt }),
    });
  }

  /** Whether the broker is away, and the worker can wait for it: for as long as it takes, or for a moment. */
  async #waitsForBroker(worker: Worker): Promise<boolean> {
    const without = worker.withoutBroker?.();
    if (without === undefined) return false;
    const health = await this.#broker?.now();
    return health?.state === 'down' && (without === 'waits' || isForgiven(health));
  }
}

function problemOf(answer: Answer<void>): string | null {
  if (answer.kind === 'answer') return null;
  return redact(errorMessage(answer.error));
}

/** The messages that are done and cannot be removed, in words; null: there are none. */
function stuckIn(worker: Worker): string | null {
  const found = (worker.stuck?.() ?? []).filter(({ count }) => count > 0);
  if (found.length === 0) return null;
  const queues = found.map(({ kind, name, count }) => `${kind} ${name}: ${String(count)}`);
  return `messages are done and cannot be removed, and may come once more (${queues.join(', ')})`;
}
