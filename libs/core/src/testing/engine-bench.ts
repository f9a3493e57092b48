import {
  SagaEngine,
  type EngineObserver,
  type EngineSettings,
  type StepTransactions,
} from '../engine/index.js';
import {
  MemoryEngineRegistry,
  MemoryInboxStore,
  MemorySagaStore,
  MemoryTransactions,
} from '../memory/index.js';
import type { Logger, OutboxMessage, SagaStore, WakeChannel, WakeUps } from '../ports/index.js';
import { SagaRegistry, type SagaClass } from '../saga/index.js';
import { FaultBoard } from './gates.js';
import { VirtualClock } from './virtual-clock.js';

/** Hints within one process, delivered in the next tick; `silent` loses them all. */
class BenchWakeUps implements WakeUps {
  readonly listening = true;
  silent = false;
  readonly #listeners = new Map<WakeChannel, Set<(detail: string | undefined) => void>>();

  hint(channel: WakeChannel, detail?: string): void {
    if (this.silent) return;
    for (const listener of this.#listeners.get(channel) ?? [])
      queueMicrotask(() => listener(detail));
  }

  on(channel: WakeChannel, listener: (detail: string | undefined) => void): () => void {
    const all = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, all);
    all.add(listener);
    return () => all.delete(listener);
  }
}

export interface BenchEngineOptions {
  readonly settings?: Partial<EngineSettings>;
  readonly observer?: EngineObserver;
  readonly stepTransactions?: StepTransactions;
  /** Wraps the saga store of this engine: to lose answers, or to cut it off. */
  readonly sagas?: (sagas: SagaStore) => SagaStore;
  readonly classes?: readonly SagaClass[];
  readonly faults?: FaultBoard;
}

/** Lines that were logged, for tests that look at them. */
export interface LoggedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
}

/** Several engines on one memory store and one virtual clock, as if they were processes. */
export class EngineBench {
  readonly clock = new VirtualClock();
  readonly transactions = new MemoryTransactions(this.clock);
  readonly engines = new MemoryEngineRegistry(this.transactions, this.clock);
  readonly inbox = new MemoryInboxStore(this.transactions, this.clock);
  readonly wakeUps = new BenchWakeUps();
  /** Every message that was committed. */
  readonly sent: OutboxMessage[] = [];
  readonly log: LoggedLine[] = [];
  readonly sagas: MemorySagaStore;
  readonly #classes: readonly SagaClass[];
  readonly #instances = new Map<SagaClass, object>();
  readonly #engines: SagaEngine[] = [];

  constructor(classes: readonly SagaClass[]) {
    this.#classes = classes;
    this.sagas = new MemorySagaStore({
      transactions: this.transactions,
      clock: this.clock,
      engines: this.engines,
      outbox: {
        append: (messages, transaction) =>
          this.transactions.within(transaction, (own) => {
            own.stage(() => this.sent.push(...messages));
          }),
      },
    });
  }

  /** An engine that works. */
  async engine(options: BenchEngineOptions = {}): Promise<SagaEngine> {
    const engine = this.idleEngine(options);
    await engine.run();
    return engine;
  }

  /** An engine that was not told to work yet. */
  idleEngine(options: BenchEngineOptions = {}): SagaEngine {
    const registry = new SagaRegistry();
    for (const one of options.classes ?? this.#classes) registry.add(one);
    const engine = new SagaEngine({
      service: 'bench',
      store: {
        transactions: this.transactions,
        engines: this.engines,
        inbox: this.inbox,
        wakeUps: this.wakeUps,
        sagas: options.sagas?.(this.sagas) ?? this.sagas,
      },
      definitions: registry.all(),
      resolve: ({ sagaClass }) => this.instance(sagaClass),
      logger: this.#logger(),
      clock: this.clock,
      random: () => 0,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
      ...(options.observer === undefined ? {} : { observer: options.observer }),
      ...(options.faults === undefined ? {} : { faults: options.faults }),
      ...(options.stepTransactions === undefined
        ? {}
        : { stepTransactions: options.stepTransactions }),
    });
    this.#engines.push(engine);
    return engine;
  }

  /** The one instance of a saga class, as a container would have it. */
  instance(sagaClass: SagaClass): object {
    const known = this.#instances.get(sagaClass);
    if (known !== undefined) return known;
    const made: unknown = Reflect.construct(sagaClass as new () => object, []);
    if (typeof made !== 'object' || made === null)
      throw new TypeError('A saga class made no object.');
    this.#instances.set(sagaClass, made);
    return made;
  }

  async close(): Promise<void> {
    for (const engine of this.#engines) await this.clock.until(engine.close());
  }

  #logger(): Logger {
    const at = (level: LoggedLine['level']) => (message: string) => {
      this.log.push({ level, message });
    };
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }
}
