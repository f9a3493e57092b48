import {
  FactStream,
  SagaEngine,
  type EngineSettings,
  type AroundAttempt,
  type FactListener,
  type SagaEngineOptions,
  type SagaHandle,
  type StartOptions,
  type StepTransactions,
} from '../engine/index.js';
import {
  MemoryEngineRegistry,
  MemoryInboxStore,
  MemorySagaStore,
  MemoryTransactions,
  MemoryWakeUps,
} from '../memory/index.js';
import {
  FORMAT,
  type EngineRegistry,
  type InboxStore,
  type Logger,
  type Mail,
  type OutboxMessage,
  type SagaStore,
  type Transactions,
} from '../ports/index.js';
import { SagaRegistry, type SagaClass, type SagaDefinition } from '../saga/index.js';
import type { FaultBoard } from './gates.js';
import { Program } from './program.js';
import { VirtualClock } from './virtual-clock.js';

/** Whether a process lives. */
class Life {
  alive = true;
  #end: () => void = () => undefined;
  /** Rejects when the process dies, so that the database rolls its transactions back. */
  readonly death = new Promise<never>((_resolve, reject) => {
    this.#end = () => reject(new Error('The connection was lost.'));
  });

  constructor() {
    this.death.catch(() => undefined);
  }

  end(): void {
    this.alive = false;
    this.#end();
  }
}

export interface BenchEngineOptions {
  readonly settings?: Partial<EngineSettings>;
  readonly hearsReplies?: boolean;
  /** Functions around the attempts of this engine. */
  readonly around?: readonly AroundAttempt[];
  /** Told the facts of this engine. */
  readonly listener?: FactListener;
  /** Default: what {@link EngineBench.log} collects. */
  readonly logger?: Logger;
  readonly stepTransactions?: StepTransactions;
  /** Wraps the saga store of this engine, so that a test can lose answers or refuse calls. */
  readonly store?: (sagas: SagaStore) => SagaStore;
  /** The sagas that this engine runs, if they differ from those of the bench. */
  readonly sagas?: readonly (SagaClass | Program)[];
  readonly faults?: FaultBoard;
}

/** Lines that were logged, for tests that check them. */
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
  readonly wakeUps = new MemoryWakeUps();
  /** Every message that was committed. */
  readonly sent: OutboxMessage[] = [];
  readonly log: LoggedLine[] = [];
  readonly sagas: MemorySagaStore;
  readonly #given: readonly (SagaClass | Program)[];
  readonly #instances = new Map<SagaClass, object>();
  readonly #lives = new Map<SagaEngine, Life>();

  constructor(sagas: readonly (SagaClass | Program)[]) {
    this.#given = sagas;
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

  /** Creates an engine and has it work. */
  async engine(options: BenchEngineOptions = {}): Promise<SagaEngine> {
    const engine = this.idleEngine(options);
    await engine.run();
    return engine;
  }

  /** Creates an engine that does not work yet. */
  idleEngine(options: BenchEngineOptions = {}): SagaEngine {
    const life = new Life();
    const { definitions, resolve } = this.#prepare(options.sagas ?? this.#given, life);
    const logger = options.logger ?? this.#logger();
    const facts = new FactStream({ logger, clock: this.clock });
    if (options.listener !== undefined) facts.subscribe(options.listener);
    for (const around of options.around ?? []) facts.around(around);
    const engine = new SagaEngine({
      service: 'bench',
      store: {
        transactions: mortal(cut<Transactions>(this.transactions, life), life),
        engines: cut<EngineRegistry>(this.engines, life),
        inbox: cut<InboxStore>(this.inbox, life),
        wakeUps: this.wakeUps,
        sagas: cut<SagaStore>(options.store?.(this.sagas) ?? this.sagas, life),
      },
      definitions,
      resolve,
      logger,
      facts,
      clock: this.clock,
      random: () => 0,
      ...(options.hearsReplies === undefined ? {} : { hearsReplies: options.hearsReplies }),
      ...(options.settings === undefined ? {} : { settings: options.settings }),
      ...(options.faults === undefined ? {} : { faults: options.faults }),
      ...(options.stepTransactions === undefined
        ? {}
        : { stepTransactions: options.stepTransactions }),
    });
    this.#lives.set(engine, life);
    return engine;
  }

  /** Ends an engine as SIGKILL would: none of its calls has an effect any more. */
  kill(engine: SagaEngine): void {
    const life = this.#lives.get(engine);
    life?.end();
  }

  /** Starts a programmed saga. */
  start(
    engine: SagaEngine,
    program: Program,
    input: unknown = null,
    options: StartOptions = {},
  ): Promise<SagaHandle<unknown>> {
    return engine.start(program.definition, input, options);
  }

  /** Kinds and steps of a saga's journal, as one line each. */
  async journal(id: string): Promise<string[]> {
    const history = await this.sagas.history(id);
    return history.map(({ kind, step }) => (step === null ? kind : `${kind} ${step}`));
  }

  /** The unread mail of the sagas that an engine owns. */
  async unreadMail({ incarnation }: Pick<SagaEngine, 'incarnation'>): Promise<readonly Mail[]> {
    const look = { incarnation, definitions: [], format: FORMAT, from: null, limit: 1_000 };
    return (await this.sagas.lookForMail(look)).mail;
  }

  /** How many transitions a saga took, its start included. */
  async commits(id: string): Promise<number> {
    return new Set((await this.sagas.history(id)).map(({ transitionId }) => transitionId)).size;
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

  /** Uses this instance of a saga class. */
  provide(sagaClass: SagaClass, instance: object): void {
    this.#instances.set(sagaClass, instance);
  }

  async close(): Promise<void> {
    for (const [engine, { alive }] of this.#lives) {
      if (alive) await this.clock.until(engine.close());
    }
  }

  #prepare(
    sagas: readonly (SagaClass | Program)[],
    life: { readonly alive: boolean },
  ): Pick<SagaEngineOptions, 'definitions' | 'resolve'> {
    const registry = new SagaRegistry();
    const programs = new Map<SagaDefinition, object>();
    for (const one of sagas) {
      if (one instanceof Program)
        programs.set(
          one.definition,
          one.instance(() => life.alive),
        );
      else registry.add(one);
    }
    return {
      definitions: [...registry.all(), ...programs.keys()],
      resolve: (definition) => programs.get(definition) ?? this.instance(definition.sagaClass),
    };
  }

  #logger(): Logger {
    const at = (level: LoggedLine['level']) => (message: string) => {
      this.log.push({ level, message });
    };
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }
}

/** A part of a store that gives no answers once its process is dead. */
function cut<Part extends object>(part: Part, life: { readonly alive: boolean }): Part {
  const never = new Promise<never>(() => undefined);
  return new Proxy(part, {
    get(target, property) {
      const method: unknown = Reflect.get(target, property);
      if (typeof method !== 'function') return method;
      return (...given: unknown[]): unknown => {
        if (!life.alive) return never;
        const answer: unknown = Reflect.apply(method, target, given);
        if (!(answer instanceof Promise)) return answer;
        return answer.then(
          (value: unknown) => (life.alive ? value : never),
          (error: unknown) => {
            if (life.alive) throw error;
            return never;
          },
        );
      };
    },
  });
}

/** Transactions that are rolled back when their process dies, as a database does. */
function mortal(transactions: Transactions, life: Life): Transactions {
  return {
    run: (work) => transactions.run((transaction) => Promise.race([work(transaction), life.death])),
    enlist: (client) => transactions.enlist(client),
    open: (transaction) => transactions.open(transaction),
    control: (client, statement, send) => transactions.control(client, statement, send),
    abandon: (transaction) => transactions.abandon(transaction),
    reported: (error) => transactions.reported(error),
  };
}
