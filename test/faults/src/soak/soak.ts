import { setTimeout as sleep } from 'node:timers/promises';
import { asError, errorMessage } from '@sagaz/core';
import { randomOf } from '@sagaz/core/testing';
import { Ledger } from './books.js';
import { BOUNDS } from './bounds.js';
import { disturb } from './disturbances.js';
import { Gauges } from './gauges.js';
import type { SoakOptions } from './options.js';
import { NOTHING_MEASURED, resultOf, type Examples, type Figures, type Result } from './report.js';
import { SoakSystem, type ProcessFault } from './soak-system.js';
import { Traffic } from './traffic.js';

/** After the last disturbance there is no point in waiting for longer. */
const SETTLE_WITHIN_MS = (BOUNDS.settlesAfter + 30) * 1_000;
const READY_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 2_000;
/** Connections of the ledger may hang on a server that is gone; the servers are stopped all the same. */
const CLOSE_WITHIN_MS = 3_000;

/** After an interruption, for a server that is just being restarted or a long query. */
const GIVE_UP_AFTER_MS = 8_000;

/** One run: what it measures is here from the beginning, so that every ending can say it. */
export class Soak {
  readonly #gauges: Gauges;
  readonly #disturbances: Record<string, number> = {};
  readonly #faults: ProcessFault[] = [];
  #system: SoakSystem | null = null;
  #traffic: Traffic | null = null;
  #measured: Partial<Figures> = {};
  #examples: Examples = {};
  #ending = false;

  constructor(
    private readonly options: SoakOptions,
    private readonly tell: (line: string) => void,
  ) {
    this.#gauges = new Gauges(options.minutes * 60_000);
  }

  /** Never rejects: what went wrong is in the result. Ends within seconds once the signal is aborted. */
  async run(signal: AbortSignal): Promise<Result> {
    let broke: unknown = null;
    try {
      signal.addEventListener('abort', () => this.killNow(), { once: true });
      await this.#run(signal);
    } catch (error) {
      broke = error;
    }
    this.#ending = true;
    // After an interruption the parts of the run end by throwing, which is no finding.
    const interrupted = signal.aborted;
    const why = interrupted ? signal.reason : broke;
    const brokenOff =
      why === null
        ? null
        : { interrupted, why: `The run did not come to its end: ${errorMessage(why)}` };
    const logs = interrupted ? null : (this.#system?.logFolder ?? null);
    const figures = this.#figures();
    const result = resultOf(figures, brokenOff, this.#examples, logs);
    try {
      await this.#system?.stop(!result.ok && !interrupted);
      return result.ok ? { ...result, logs: null } : result;
    } catch (error) {
      const stopping = `The servers could not be stopped: ${errorMessage(error)}`;
      return resultOf(figures, { interrupted, why: stopping }, this.#examples, logs);
    }
  }

  /** For the last moment of this process: cannot wait. */
  killNow(): void {
    this.#system?.killNow();
  }

  async #run(signal: AbortSignal): Promise<void> {
    this.#say(`starting two PostgreSQL servers and eight processes; seed ${this.options.seed}`);
    const system = await SoakSystem.prepare({
      hear: (worker, report) => {
        if (report.kind !== 'memory') this.#traffic?.hear(report);
        else if (worker.parts.spared) {
          this.#gauges.memory(worker.name, report.heap, report.rss);
        }
      },
      fault: (fault) => {
        // A process that starts while the run is given up may fail in any way.
        if (this.#ending) return;
        this.#faults.push(fault);
        this.#say(`${fault.process} ${fault.what}`);
      },
    });
    this.#system = system;
    signal.throwIfAborted();
    await system.spawn();
    await this.#allReady(system, signal);
    const ledger = new Ledger(system.store.url, system.broker.url);
    try {
      await Promise.race([this.#measure(system, ledger, signal), givenUp(signal)]);
    } finally {
      const late = sleep(CLOSE_WITHIN_MS, undefined, { ref: false });
      await Promise.race([ledger.close(), late]);
    }
  }

  async #allReady(system: SoakSystem, signal: AbortSignal): Promise<void> {
    const end = performance.now() + READY_WITHIN_MS;
    while (!system.workers.every((one) => one.ready)) {
      signal.throwIfAborted();
      if (performance.now() > end) {
        const missing = system.workers.filter((one) => !one.ready).map((one) => one.name);
        throw new Error(`Not ready within ${READY_WITHIN_MS / 1000} s: ${missing.join(', ')}.`);
      }
      await sleep(100);
    }
  }

  async #measure(system: SoakSystem, ledger: Ledger, interrupted: AbortSignal): Promise<void> {
    const { minutes, orders, seed } = this.options;
    const traffic = new Traffic(system, orders, randomOf(seed));
    this.#traffic = traffic;
    this.#gauges.begin();
    const calm = new AbortController();
    const following = this.#follow(ledger, traffic, AbortSignal.any([calm.signal, interrupted]));
    const noise = new AbortController();
    const placed = new AbortController();
    const placing = traffic.run(
      minutes * 60_000,
      AbortSignal.any([placed.signal, calm.signal, interrupted]),
    );
    const disturbing = this.#disturb(system, noise.signal, interrupted);
    try {
      this.#say(`placing ${orders} orders in ${minutes} minutes`);
      await Promise.race([
        sleep(minutes * 60_000, undefined, { signal: interrupted }),
        failureOf(following),
        failureOf(disturbing),
      ]);
      noise.abort();
      await disturbing;
      interrupted.throwIfAborted();
      this.#say('no more disturbances; waiting until nothing is left to do');
      const calmSince = performance.now();
      for (const worker of system.workers) worker.send({ kind: 'quiet' });
      const patience = setTimeout(() => placed.abort(), SETTLE_WITHIN_MS);
      await placing;
      clearTimeout(patience);
      await this.#untilSettled(ledger, traffic, calmSince + SETTLE_WITHIN_MS, interrupted);
      const settledAfter = Math.round((performance.now() - calmSince) / 1000);
      this.#measured = { settledAfter };
      if (settledAfter > BOUNDS.settlesAfter) {
        // Once the processes have ended, nobody serves a slot.
        this.#examples = { settledAfter: await ledger.someMessagesLeft() };
      }
    } finally {
      noise.abort();
      calm.abort();
      await Promise.allSettled([following, placing, disturbing]);
    }
    await this.#readBooks(system, ledger, traffic, interrupted);
  }

  #disturb(system: SoakSystem, signal: AbortSignal, interrupted: AbortSignal): Promise<void> {
    return disturb(
      system,
      randomOf(this.options.seed + 1),
      (what, to) => {
        this.#disturbances[what] = (this.#disturbances[what] ?? 0) + 1;
        this.#say(to === null ? what : `${what}: ${to}`);
      },
      signal,
      interrupted,
    );
  }

  async #follow(ledger: Ledger, traffic: Traffic, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const [ended, connections] = [await ledger.ended(), await ledger.connections()];
      if (ended !== null) this.#gauges.progress(ended, traffic.started.size);
      if (connections !== null) this.#gauges.connections(connections);
      for (const wait of await ledger.oldestMessages()) this.#gauges.waiting(wait);
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Every saga has ended and no message is under way. */
  async #untilSettled(
    ledger: Ledger,
    traffic: Traffic,
    until: number,
    signal: AbortSignal,
  ): Promise<void> {
    while (performance.now() < until) {
      signal.throwIfAborted();
      if ((await ledger.ended()) === traffic.started.size) {
        if ((await ledger.messagesLeft()) === 0) return;
      }
      await sleep(200);
    }
  }

  async #readBooks(
    system: SoakSystem,
    ledger: Ledger,
    traffic: Traffic,
    signal: AbortSignal,
  ): Promise<void> {
    const stuckShutdowns = await system.stopWorkers();
    this.#measured = { ...this.#measured, stuckShutdowns };
    signal.throwIfAborted();
    this.#say('reading the books');
    const connectionsLeft = await this.#connectionsLeft(ledger);
    const [longest, { findings, examples }] = [
      await ledger.longestSagas(),
      await ledger.audit(traffic.started),
    ];
    const longestSaga = Math.round(longest[0]?.seconds ?? 0);
    this.#measured = { ...this.#measured, connectionsLeft, findings, longestSaga };
    const tooLong = this.#gauges.longestWaits.filter((one) => one.seconds > BOUNDS.messageWaits);
    this.#examples = {
      ...this.#examples,
      ...examples,
      ...(longestSaga > BOUNDS.sagaTakes ? { longestSaga: longest } : {}),
      ...(tooLong.length > 0 ? { longestWaits: await ledger.explainWaits(tooLong) } : {}),
      ...(connectionsLeft > 0 ? { connectionsLeft: await ledger.openConnections() } : {}),
    };
  }

  /** The server notices the end of a client a moment later. */
  async #connectionsLeft(ledger: Ledger): Promise<number> {
    let left = (await ledger.connections()) ?? 0;
    for (let look = 0; look < 100 && left > 0; look += 1) {
      await sleep(100);
      left = (await ledger.connections()) ?? left;
    }
    return left;
  }

  #figures(): Figures {
    const { seed, minutes, orders } = this.options;
    const {
      memoryMiB,
      connectionsMost: connections,
      longestWaits,
      longestStandstillMs,
    } = this.#gauges;
    return {
      ...NOTHING_MEASURED,
      seed,
      minutes,
      orders,
      sagas: this.#traffic?.started.size ?? 0,
      repeatedStarts: this.#traffic?.repeated ?? 0,
      disturbances: this.#disturbances,
      longestStandstill: Math.round(longestStandstillMs / 1000),
      longestWaits: Object.fromEntries(
        longestWaits.map(({ queue, seconds }) => [queue, Math.round(seconds)]),
      ),
      memoryMiB,
      connections,
      processFaults: this.#faults,
      ...this.#measured,
    };
  }

  #say(text: string): void {
    const line = `${new Date().toISOString()} ${text}`;
    this.tell(line);
    this.#system?.log.write(`${line}\n`);
  }
}

/** Rejects when the work does, and otherwise never settles. */
function failureOf(work: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => {
    work.catch(reject);
  });
}

/** Rejects a while after the signal: what is still under way then is left to itself. */
function givenUp(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const giveUp = (): void => {
      setTimeout(() => reject(asError(signal.reason)), GIVE_UP_AFTER_MS).unref();
    };
    signal.addEventListener('abort', giveUp, { once: true });
  });
}
