import { errorMessage } from '@sagaz/core';
import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import type { Broker } from '@sagaz/core';
import { Connections } from '../enlist/index.js';
import { Workers } from '../lifecycle/index.js';
import { SAGAZ_BROKER } from '../tokens/index.js';

const ANSWER_WITHIN_MS = 3_000;

/**
 * How Sagaz is, as Terminus indicators: `up`, or `down` with what is wrong. For health controllers of
 * your own; {@link SagazHealthModule} brings one that is ready.
 */
@Injectable()
export class SagazHealth {
  constructor(
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
    @Inject(Connections) private readonly connections: Connections,
    @Inject(SAGAZ_BROKER) private readonly messageBroker: Broker | null,
    @Inject(Workers) private readonly workers: Workers,
  ) {}

  /** The databases of all stores. */
  async database(): Promise<HealthIndicatorResult> {
    return this.#ask('database', () =>
      Promise.all(this.connections.all.map(({ store }) => store.health())),
    );
  }

  /** The broker; `up` where none is configured. */
  async broker(): Promise<HealthIndicatorResult> {
    return this.#ask('broker', async () => this.messageBroker?.health());
  }

  /** What this process runs in the background: engine, relay, consumers. One indicator for each. */
  work(): HealthIndicatorResult {
    let result: HealthIndicatorResult = {};
    for (const worker of this.workers.all) {
      const indicator = this.indicators.check(worker.name);
      const problem = worker.problem();
      result = { ...result, ...(problem === null ? indicator.up() : indicator.down(problem)) };
    }
    return result;
  }

  async #ask(key: string, question: () => Promise<unknown>): Promise<HealthIndicatorResult> {
    const indicator = this.indicators.check(key);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      // A probe that hangs is killed by its caller, and then nobody learns which part hung.
      timer = setTimeout(() => {
        reject(new Error(`no answer within ${ANSWER_WITHIN_MS} ms`));
      }, ANSWER_WITHIN_MS);
    });
    try {
      await Promise.race([question(), late]);
      return indicator.up();
    } catch (error) {
      return indicator.down(errorMessage(error));
    } finally {
      clearTimeout(timer);
    }
  }
}
