import { replyMail, type SagaEngine, type SagaOutcome } from '../engine/index.js';
import { isSagaRefusal, errorRecord } from '../errors/index.js';
import { newId } from '../ids.js';
import {
  checkedReply,
  decodePayload,
  encodeBody,
  jsonCodec,
  type CommandContract,
} from '../messaging/index.js';
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
import { HostWork } from './host-work.js';
import { UnansweredCommandError } from './unanswered-command.error.js';

/** The result of a saga under test. */
export interface SagaTestResult<Output> {
  readonly outcome: SagaOutcome<Output>;
  /** The journal, one line for each entry: `step_started charge`. */
  readonly journal: readonly string[];
  /** Every command that was sent, compensations included. */
  readonly sent: readonly OutboxMessage[];
  /**
   * Milliseconds of virtual time that the saga took: delays of retries and timeouts count, the host's
   * time does not.
   */
  readonly tookMs: number;
}

/** Answers a command. An error that it throws is an answer as well: a refusal, or a failure. */
interface Answer {
  readonly contract: CommandContract;
  readonly answer: (payload: unknown) => unknown;
}

/** How often the participants of a test look for commands, in virtual time. */
const LOOK_MS = 10;

/**
 * A saga in a test: its class with an instance made of test doubles, failures on demand, answers to
 * its commands and crashes of its process, on a memory store and a virtual clock.
 *
 * Its time is virtual: delays of retries, timeouts and deadlines take no time of the host. A method that
 * itself waits for something of the host (a timer, a file) is waited for up to 200 ms of the host's time;
 * after that the virtual time goes on, and the attempt may reach its timeout.
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
  readonly #unanswered = new Set<string>();
  readonly #handlers = new Map<string, string>();
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
  fail(step: string, times = 1, error?: Error): this {
    return this.#failMethod('step', step, times, error);
  }

  /** The compensation of the step fails this often; by default with a retryable error. */
  failCompensation(step: string, times = 1, error?: Error): this {
    return this.#failMethod('compensation', step, times, error);
  }

  /** The forward recovery of the step fails this often; by default with a retryable error. */
  failRecovery(step: string, times = 1, error?: Error): this {
    return this.#failMethod('recovery', step, times, error);
  }

  /** Sets the answer to a command: a value, or a function whose result or error is the answer. */
  reply<Payload, Reply>(
    contract: CommandContract<Payload, Reply>,
    answer: (payload: Payload) => Reply | Promise<Reply>,
  ): this {
    if (contract.handledBy !== null) this.#handlers.set(contract.type, contract.handledBy);
    // A message carries what the contract says; the sender was checked by the compiler.
    this.#answers.set(contract.type, {
      contract,
      answer: (payload) => answer(payload as Payload),
    });
    return this;
  }

  /** Leaves this command unanswered: its step waits until its reply timeout. */
  leaveUnanswered(contract: { readonly kind: 'command'; readonly type: string }): this {
    this.#unanswered.add(contract.type);
    return this;
  }

  /** Has the process die once when it reaches the point; another process takes over. */
  crashAt(point: FaultPoint): this {
    this.#crash = point;
    return this;
  }

  /**
   * Runs the saga to its end, or until it needs attention; at most an hour of virtual time.
   *
   * @throws UnansweredCommandError when a command is sent that the test neither answers nor leaves
   *   unanswered on purpose
   */
  async run(input: SagaInputOf<S>): Promise<SagaTestResult<SagaOutputOf<S>>> {
    const bench = new EngineBench([this.#class]);
    const instance = this.#instance ?? bench.instance(this.#class);
    const work = new HostWork();
    bench.provide(this.#class, this.#failing(instance, work));
    const engine = await bench.engine({ faults: this.#faults });
    const starter = bench.idleEngine();
    this.#arm(bench, engine);
    const { stop, missing } = this.#participants(bench);
    try {
      const handle = await starter.start(this.#class, input);
      const ended = Promise.race([handle.outcome({ timeout: '1h' }), missing]);
      const outcome = await bench.clock.until(ended, undefined, () => work.settled());
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

  #failMethod(
    role: 'step' | 'compensation' | 'recovery',
    name: string,
    times: number,
    error?: Error,
  ): this {
    const step = this.#definition.steps.get(name);
    const methods = {
      step: step?.method,
      compensation: step?.compensation?.method,
      recovery: step?.forwardRecovery?.method,
    };
    const method = methods[role];
    if (method === undefined) {
      const known = [...this.#definition.steps.keys()].join(', ');
      const what = step === undefined ? `step '${name}'` : `${role} of '${name}'`;
      throw new TypeError(`${this.#definition.name} has no ${what}. Its steps are: ${known}.`);
    }
    this.#failures.set(method, {
      left: times,
      error: error ?? new Error(`The ${role} '${name}' fails in this test.`),
    });
    return this;
  }

  #failing(instance: object, work: HostWork): object {
    const methods = new Set(
      [...this.#definition.steps.values()].flatMap((step) => [
        step.method,
        step.compensation?.method,
        step.forwardRecovery?.method,
      ]),
    );
    return new Proxy(instance, {
      get: (target, property): unknown => {
        const method: unknown = Reflect.get(target, property);
        if (typeof property !== 'string' || typeof method !== 'function') return method;
        const failure = this.#failures.get(property);
        if (failure !== undefined && failure.left > 0) {
          return () => {
            failure.left -= 1;
            throw failure.error;
          };
        }
        if (!methods.has(property)) return method;
        return (...args: unknown[]): unknown => {
          const result: unknown = Reflect.apply(method, target, args);
          work.add(result);
          return result;
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

  /** The other services, which give the answers that the test has set. */
  #participants(bench: EngineBench): {
    readonly stop: () => void;
    readonly missing: Promise<never>;
  } {
    let answered = 0;
    let stopped = false;
    let miss: (error: Error) => void = () => undefined;
    const missing = new Promise<never>((_resolve, reject) => (miss = reject));
    missing.catch(() => undefined);
    const look = (): void => {
      if (stopped) return;
      for (; answered < bench.sent.length; answered += 1) {
        const message = bench.sent[answered];
        if (message === undefined) continue;
        const answer = this.#answers.get(message.type);
        if (answer !== undefined) void this.#answer(bench, message, answer);
        else if (isCommandMessage(message) && !this.#unanswered.has(message.type)) {
          miss(new UnansweredCommandError(message.type, message.headers[HEADERS.step] ?? ''));
        }
      }
      bench.clock.after(LOOK_MS, look);
    };
    look();
    return {
      stop: () => {
        stopped = true;
      },
      missing,
    };
  }

  async #answer(
    bench: EngineBench,
    message: OutboxMessage,
    { contract, answer }: Answer,
  ): Promise<void> {
    let status = 'ok';
    let { contentType } = contract.replyCodec;
    let payload: Uint8Array;
    try {
      const reply = await answer(decodePayload(contract, message));
      payload = encodeBody(contract.replyCodec, reply, `The reply to '${contract.type}'`);
    } catch (error) {
      status = isSagaRefusal(error) ? 'refused' : 'failed';
      contentType = jsonCodec.contentType;
      const { reason, details } = errorRecord(error);
      payload = jsonCodec.encode(
        isSagaRefusal(error) ? { reason, details } : { reason: 'exhausted' },
      );
    }
    const { role } = HEADERS;
    const headers = {
      ...message.headers,
      [HEADERS.replyStatus]: status,
      [HEADERS.repliesTo]: message.headers[role] ?? '',
      [HEADERS.causationId]: message.id,
    };
    const source = this.#handlers.get(message.type) ?? message.source;
    const reply = { ...message, source, id: newId(), headers, contentType, payload };
    await bench.sagas.putMail([replyMail(await checkedReply(reply))]);
    bench.wakeUps.hint('saga');
  }
}

function isCommandMessage({ headers }: OutboxMessage): boolean {
  const role = headers[HEADERS.role];
  return role === 'command' || role === 'compensation';
}

/** A saga to be tried by itself. */
export function sagaTest<S extends AnySaga>(sagaClass: SagaClass<S>): SagaTest<S> {
  return new SagaTest(sagaClass);
}
