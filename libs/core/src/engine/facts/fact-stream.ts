import { systemClock } from '../../clock/index.js';
import { InvalidArgumentError } from '../../errors/index.js';
import { guardedCall, guardedLogger } from '../../observers/index.js';
import type { Clock, Logger } from '../../ports/index.js';
import { AttemptWrapper, type AroundAttempt } from './attempt-wrapper.js';
import {
  FACT_KINDS,
  isFactKind,
  type EngineFact,
  type FactKind,
  type FactOf,
} from './engine-fact.js';
import type { FactListener } from './fact-handlers.js';
import { factLog } from './fact-log.js';
import { SeldomLog } from './seldom-log.js';

/**
 * The one place at which an engine tells what happens in it. Metrics, traces and hooks subscribe; so do the
 * engine's own log lines, from the beginning. Engines that are given the same stream tell it together.
 */
export class FactStream {
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** For each kind that somebody takes, who takes it. The arrays are replaced, never changed in place. */
  readonly #takers = new Map<FactKind, readonly Subscription[]>();
  /** The array is replaced, never changed in place. */
  #wrappers: readonly AttemptWrapper[] = [];
  /** Facts that came while one was being told, in their order; null: none is being told. */
  #waiting: EngineFact[] | null = null;

  /** @param options.clock - default: the host's clock */
  constructor(options: { readonly logger: Logger; readonly clock?: Clock }) {
    this.#logger = guardedLogger(options.logger);
    this.#clock = options.clock ?? systemClock;
    this.subscribe(factLog(this.#logger));
  }

  /**
   * Tells the listener every fact from now on. Returns the function that ends that.
   *
   * @throws InvalidArgumentError when the listener is no function, or names a kind that does not exist
   */
  subscribe(listener: FactListener): () => void {
    const failures = new SeldomLog(this.#logger, this.#clock);
    const subscription = new Subscription(checked(listener), failures);
    const kinds = new Set(listener.kinds ?? FACT_KINDS);
    for (const kind of kinds) this.#takers.set(kind, [...this.#of(kind), subscription]);
    return () => {
      subscription.open = false;
      for (const kind of kinds) {
        const left = this.#of(kind).filter((one) => one !== subscription);
        if (left.length > 0) this.#takers.set(kind, left);
        else this.#takers.delete(kind);
      }
    };
  }

  /**
   * Has the method of each attempt called by this function from now on; of several, the one that was added
   * first is the outermost. Returns the function that ends that.
   *
   * @throws InvalidArgumentError when it is no function
   */
  around(around: AroundAttempt): () => void {
    if (typeof around !== 'function') {
      const remedy =
        'Give a function that calls its second argument and returns what that returns.';
      throw new InvalidArgumentError('FactStream.around', 'around', around, remedy);
    }
    const wrapper = new AttemptWrapper(around, new SeldomLog(this.#logger, this.#clock));
    this.#wrappers = [...this.#wrappers, wrapper];
    return () => {
      this.#wrappers = this.#wrappers.filter((one) => one !== wrapper);
    };
  }

  /** Whether there is a function around attempts. */
  get wraps(): boolean {
    return this.#wrappers.length > 0;
  }

  /** Runs the method of an attempt within the functions around it, and returns the promise of `work`. */
  run(attempt: FactOf<'attempt_began'>, work: () => Promise<unknown>): Promise<unknown> {
    const within = this.#wrappers.reduceRight(
      (inner, wrapper) => () => wrapper.run(attempt, inner),
      work,
    );
    return within();
  }

  /** Whether somebody takes facts of this kind. A fact is made only if so. */
  wants(kind: FactKind): boolean {
    return this.#takers.has(kind);
  }

  /** Tells a fact to all who take it. Never throws. */
  tell(fact: EngineFact): void {
    if (this.#waiting !== null) {
      // A listener has caused it. All others are told first what they are being told now.
      this.#waiting.push(fact);
      return;
    }
    const waiting: EngineFact[] = [];
    this.#waiting = waiting;
    try {
      this.#tellAll(fact);
      for (const next of waiting) this.#tellAll(next);
    } finally {
      this.#waiting = null;
    }
  }

  #tellAll(fact: EngineFact): void {
    for (const one of this.#of(fact.kind)) one.tell(fact);
  }

  #of(kind: FactKind): readonly Subscription[] {
    return this.#takers.get(kind) ?? NOBODY;
  }
}

class Subscription {
  open = true;
  readonly #listener: FactListener;
  readonly #failures: SeldomLog;

  constructor(listener: FactListener, failures: SeldomLog) {
    this.#listener = listener;
    this.#failures = failures;
  }

  tell(fact: EngineFact): void {
    if (!this.open) return;
    guardedCall(
      () => this.#listener(fact),
      (error) => {
        const what = `A listener for facts of the engine failed at '${fact.kind}'; the engine goes on.`;
        this.#failures.error(what, error);
      },
    );
  }
}

const NOBODY: readonly Subscription[] = [];

function checked(listener: FactListener): FactListener {
  const call = 'FactStream.subscribe';
  if (typeof listener !== 'function') {
    throw new InvalidArgumentError(
      call,
      'listener',
      listener,
      'Give a function, or make one of several with factHandlers().',
    );
  }
  const kinds: readonly string[] = listener.kinds ?? [];
  const unknown = kinds.find((kind) => !isFactKind(kind));
  if (unknown === undefined) return listener;
  const remedy = `Name kinds of facts: ${FACT_KINDS.join(', ')}.`;
  throw new InvalidArgumentError(call, 'kinds', unknown, remedy);
}
