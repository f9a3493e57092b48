import {
  Inject,
  Injectable,
  Optional,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Clock, Logger } from '@sagaz/core';
import { Connections } from '../enlist/index.js';
import {
  commandLineVariables,
  describeOptions,
  unknownVariables,
  type EffectiveOptions,
} from '../options/index.js';
import { SAGAZ_CLOCK, SAGAZ_LOGGER, SAGAZ_OPTIONS } from '../tokens/index.js';
import { OpenRequests } from './open-requests.js';
import { drainTimeOf, endedWithin, httpTimeOf } from './shutdown-times.js';
import { waitForServer } from './wait-for-server.js';
import { Workers, type Worker } from './workers.js';

/**
 * Starts the background work when every module has bootstrapped, and ends it before any of them is
 * destroyed. It must be in a module that is not global, because Nest destroys global modules last, when
 * the clients that steps and handlers use are closed already.
 */
@Injectable()
export class SagazLifecycle
  implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown
{
  readonly #started: Worker[] = [];
  readonly #openRequests: OpenRequests;

  constructor(
    @Inject(SAGAZ_OPTIONS) private readonly options: EffectiveOptions,
    @Inject(SAGAZ_LOGGER) private readonly logger: Logger,
    @Inject(SAGAZ_CLOCK) private readonly clock: Clock,
    @Inject(Connections) private readonly connections: Connections,
    @Inject(Workers) private readonly workers: Workers,
    @Optional() @Inject(HttpAdapterHost) http?: HttpAdapterHost,
  ) {
    this.#openRequests = new OpenRequests(http, logger);
  }

  async onApplicationBootstrap(): Promise<void> {
    // A database that answered a moment ago may be away now.
    const patience = {
      clock: this.clock,
      logger: this.logger,
      withinMs: this.options.startTimeout,
    };
    for (const connection of this.connections.all) {
      const database = `the database of "${connection.name}"`;
      await waitForServer(database, () => connection.check(), patience);
    }
    this.logger.info(`Sagaz starts with ${JSON.stringify(describeOptions(this.options))}`);
    const unread = unknownVariables(process.env).map(({ variable }) => variable);
    if (unread.length > 0) {
      this.logger.warn('Environment variables begin with SAGAZ_ and set no option.', {
        variables: unread.join(', '),
      });
    }
    for (const { variable, instead } of commandLineVariables(process.env)) {
      this.logger.warn(
        `The variable ${variable} is read by the command line and not by the application: ${instead}.`,
      );
    }
    for (const worker of this.workers.all) {
      await waitForServer(`what the ${worker.name} needs`, () => worker.start(), patience);
      this.#started.push(worker);
    }
  }

  async onModuleDestroy(): Promise<void> {
    const { shutdownTimeout } = this.options;
    const withinMs = drainTimeOf(shutdownTimeout);
    // This comes before any wait, so that requests that wait for sagas are answered now.
    this.workers.announceStop();
    this.#openRequests.closeAfter(httpTimeOf(shutdownTimeout));
    const stopping = this.#started.splice(0).map(async (worker) => {
      try {
        await worker.stop(withinMs);
      } catch (error) {
        this.logger.error(`The ${worker.name} did not stop in good order.`, {}, error);
      }
    });
    // Every worker should keep to the time it was given; this limit is for one that hangs.
    if (!(await endedWithin(httpTimeOf(shutdownTimeout), stopping))) {
      this.logger.warn('Not all background work ended within the shutdown timeout.', { withinMs });
    }
  }

  onApplicationShutdown(): void {
    this.#openRequests.done();
  }
}
