import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import type { Logger } from '@sagaz/core';
import { Connections } from '../enlist/index.js';
import { describeOptions, unknownVariables, type EffectiveOptions } from '../options/index.js';
import { SAGAZ_LOGGER, SAGAZ_OPTIONS } from '../tokens/index.js';
import { Workers, type Worker } from './workers.js';

/**
 * Starts the background work when every module has bootstrapped, and ends it before any of them is
 * destroyed. It must stand in a module that is not global: Nest destroys global modules last, when
 * the clients that steps and handlers use are closed already.
 */
@Injectable()
export class SagazLifecycle implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #started: Worker[] = [];

  constructor(
    @Inject(SAGAZ_OPTIONS) private readonly options: EffectiveOptions,
    @Inject(SAGAZ_LOGGER) private readonly logger: Logger,
    @Inject(Connections) private readonly connections: Connections,
    @Inject(Workers) private readonly workers: Workers,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    for (const connection of this.connections.all) await connection.check();
    this.logger.info(`Sagaz starts with ${JSON.stringify(describeOptions(this.options))}`);
    const unread = unknownVariables(process.env).map(({ variable }) => variable);
    if (unread.length > 0) {
      this.logger.warn('Environment variables begin with SAGAZ_ and set no option.', {
        variables: unread.join(', '),
      });
    }
    for (const worker of this.workers.all) {
      await worker.start();
      this.#started.push(worker);
    }
  }

  async onModuleDestroy(): Promise<void> {
    const withinMs = this.options.shutdownTimeout;
    const stopping = this.#started.splice(0).map(async (worker) => {
      try {
        await worker.stop(withinMs);
      } catch (error) {
        this.logger.error(`The ${worker.name} did not stop in good order.`, {}, error);
      }
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      // Every worker keeps to the time it was given; this is for the one that hangs.
      timer = setTimeout(() => resolve('late'), withinMs + 500);
    });
    const outcome = await Promise.race([Promise.all(stopping), late]);
    clearTimeout(timer);
    if (outcome === 'late') {
      this.logger.warn('Not all background work ended within the shutdown timeout.', { withinMs });
    }
  }
}
