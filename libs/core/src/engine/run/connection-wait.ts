import type { TransactionPlace } from '../step-transactions.js';
import type { EngineContext } from './engine-context.js';

/**
 * How long a transactional attempt waits for a connection before it is given back, in milliseconds. Its
 * start is in the journal meanwhile and would count as a crash if the process died.
 */
const CONNECTION_WAIT_MS = 1_000;

/** The wait of a transactional attempt for its connection. */
export class ConnectionWait {
  readonly #engine: Pick<EngineContext, 'timers' | 'connections'>;
  #begun = false;
  /** Whether a place was kept for it, so that only the pool itself can be short. */
  #hadPlace = false;
  #stop: (() => void) | null = null;

  constructor(engine: Pick<EngineContext, 'timers' | 'connections'>) {
    this.#engine = engine;
  }

  /**
   * Begins to wait, and calls `late` if that takes too long. Returns the place that was kept for a step
   * which could not begin before; a run after the first takes none from others.
   */
  begin(late: () => void): TransactionPlace | undefined {
    const { timers, connections } = this.#engine;
    const place = this.#begun ? undefined : connections.takePlace();
    this.#begun = true;
    this.#hadPlace = place !== undefined;
    this.#stop = timers.set(CONNECTION_WAIT_MS, late);
    return place;
  }

  /** The attempt has got a connection. */
  got(): void {
    this.end();
    this.#engine.connections.got();
  }

  /** The attempt got no connection, or not in time. */
  missed(): void {
    this.end();
    this.#engine.connections.missed(this.#hadPlace);
  }

  end(): void {
    this.#stop?.();
  }
}
