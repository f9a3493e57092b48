import { replyMail, type SagaEngine, type SagaOutcome } from '../engine/index.js';
import { isSagaRefusal } from '../errors/index.js';
import { newId } from '../ids.js';
import { jsonCodec, type CommandContract } from '../messaging/index.js';
import { HEADERS, type FaultPoint, type OutboxMessage } from '../ports/index.js';
import {
  buildSagaDefinition,
  type AnySaga,
  type SagaClass,
  type SagaDefinition,
  type SagaInputOf,
  type SagaOutputOf,
} from '../saga/index.js';
import { EngineBench } from './engine-bench.js';
import { FaultBoard } from './gates.js';

/** What came of a saga under test. */
export interface SagaTestResult<Output> {
  readonly outcome: SagaOutcome<Output>;
  /** One line per thing that happened: `step_started charge`. */
  readonly journal: readonly string[];
  /** Every command that was sent, compensations included. */
  readonly sent: readonly OutboxMessage[];
  /** Milliseconds of virtual time it took. */
  readonly tookMs: number;
}

/** Answers a command; what it throws is the answer too: a refusal, or a failure. */
type Answer = (payload: unknown) => unknown;

/** How often the participants of a test look for commands, in virtual time. */
const LOOK_MS = 10;

/**
 * A saga in a test: its class with an instance made of test doubles, failures on demand, answers to
 * its commands and crashes of its process, on a memory store and a virtual clock.
 *
 * ```ts
 * const { outcome } = await sagaTest(PlaceOrderSaga)
 *   .provide(new PlaceOrderSaga(payments))
 *   .reply(ReserveStock, () => ({ shelf: 7 }))
 *   .fail('charge', 2)
 *   .run(order);
 * ```
 */
export class SagaTest<S extends AnySaga> {
  readonly #class: SagaClass<S>;
  readonly #definition: SagaDefinition;
  readonly #answers = new Map<string, Answer>();
  readonly #failures = new Map<string, { left: number; readonly error: Error }>();
  readonly #faults = new FaultBoard();
  #instance: S | null = null;
  #crash: FaultPoint | null = null;

  constructor(sagaClass: SagaClass<S>) {
    this.#class = sagaClass;
    this.#definition = buildSagaDefinition(sagaClass);
  }

  /** The instance whose methods are the steps. Default: one made without arguments. */
  provide(instance: S): this {
    this.#instance = instance;
    return this;
  }

  /** The step fails this often before its method is called; by default with a retryable error. */
  fail(step: string, times = 1, error: Error = new Error(`'${step}' fails in this test.`)): this {
    const method = this.#definition.steps.get(step)?.method;
    if (method === undefined)
      throw new TypeError(`${this.#definition.name} has no step '${step}'.`);
    this.#failures.set(method, { left: times, error });
    return this;
  }

  /** How the participant answers a command: a value, or whatever the function returns or throws. */
  reply<Payload, Reply>(
    contract: CommandContract<Payload, Reply>,
    answer: (payload: Payload) => Reply | Promise<Reply>,
  ): this {
    // A message carries what the contract says; the sender was checked by the compiler.
    this.#answers.set(contract.type, (payload) => answer(payload as Payload));
    return this;
  }

  /** The process dies when it reaches the point, once; another one takes over. */
  crashAt(point: FaultPoint): this {
    this.#crash = point;
    return this;
  }

  /** Runs the saga to its end, or until it needs attention; at most an hour of virtual time. */
  async run(input: SagaInputOf<S>): Promise<SagaTestResult<SagaOutputOf<S>>> {
    const bench = new EngineBench([this.#class]);
    const instance = this.#instance ?? bench.instance(this.#class);
    bench.provide(this.#class, this.#failing(instance));
    const engine = await bench.engine({ faults: this.#faults });
    const starter = bench.idleEngine();
    this.#arm(bench, engine);
    const stop = this.#participants(bench);
    try {
      const handle = await starter.start(this.#class, input);
      const outcome = await bench.clock.until(handle.outcome({ timeout: '1h' }));
      return {
        outcome,
        journal: await bench.journal(handle.id),
        sent: bench.sent,
        tookMs: bench.clock.now(),
      };
    } finally {
      stop();
      await bench.close();
    }
  }

  #failing(instance: object): object {
    return new Proxy(instance, {
      get: (target, property): unknown => {
        const method: unknown = Reflect.get(target, property);
        const failure = typeof property === 'string' ? this.#failures.get(property) : undefined;
        if (failure === undefined || failure.left <= 0) return method;
        return () => {
          failure.left -= 1;
          throw failure.error;
        };
      },
    });
  }

  #arm(bench: EngineBench, engine: SagaEngine): void {
    if (this.#crash === null) return;
    this.#faults.on(this.#crash, async () => {
      bench.kill(engine);
      await bench.engine();
      await new Promise<never>(() => undefined);
    });
  }

  /** The other services: they answer every command that there is an answer for. */
  #participants(bench: EngineBench): () => void {
    let answered = 0;
    let stopped = false;
    const look = (): void => {
      if (stopped) return;
      for (; answered < bench.sent.length; answered += 1) {
        const message = bench.sent[answered];
        if (message !== undefined) void this.#answer(bench, message);
      }
      bench.clock.after(LOOK_MS, look);
    };
    look();
    return () => {
      stopped = true;
    };
  }

  async #answer(bench: EngineBench, message: OutboxMessage): Promise<void> {
    const answer = this.#answers.get(message.type);
    if (answer === undefined) return;
    let status = 'ok';
    let body: unknown;
    try {
      body = await answer(jsonCodec.decode(message.payload));
    } catch (error) {
      status = isSagaRefusal(error) ? 'refused' : 'failed';
      body = isSagaRefusal(error)
        ? { reason: error.reason, details: error.details }
        : { reason: 'exhausted' };
    }
    const { role } = HEADERS;
    const headers = {
      ...message.headers,
      [HEADERS.replyStatus]: status,
      [HEADERS.repliesTo]: message.headers[role] ?? '',
      [HEADERS.causationId]: message.id,
    };
    const reply = { ...message, id: newId(), headers, payload: jsonCodec.encode(body) };
    await bench.sagas.putMail([replyMail(reply)]);
    bench.wakeUps.hint('saga');
  }
}

/** A saga to be tried by itself. */
export function sagaTest<S extends AnySaga>(sagaClass: SagaClass<S>): SagaTest<S> {
  return new SagaTest(sagaClass);
}
