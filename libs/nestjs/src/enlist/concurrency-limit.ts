/** The kind of work a place is asked for. Where both kinds wait, they get free places in turns. */
export type WorkKind = 'handlers' | 'steps';

/** A place that is taken until it is released. */
export interface Place {
  /** Whether other work had to end before the place was free. */
  readonly waited: boolean;
  release(): void;
}

export interface PlaceRequest {
  /** Default: handlers. */
  readonly kind?: WorkKind;
  /** When it is aborted, work that still waits leaves the queue, and its reason is thrown. */
  readonly unwanted?: AbortSignal;
  /** A place that was reserved before and is used now. */
  readonly place?: Pick<Place, 'release'>;
}

/**
 * Lets at most `limit` pieces of work run at once. The others wait in the order in which they came, the
 * two kinds of work apart: a backlog of handlers, which never ends on a busy consumer, would otherwise
 * keep the few steps of sagas waiting for ever, and the other way round.
 */
export class ConcurrencyLimit {
  readonly #waiting: Readonly<Record<WorkKind, Set<() => void>>> = {
    handlers: new Set(),
    steps: new Set(),
  };
  #free: number;
  /** Which kind got the last place that had to be waited for. */
  #latest: WorkKind = 'steps';

  constructor(limit: number) {
    this.#free = limit;
  }

  /** Runs the work in a place, at once where one is free. */
  async run<T>(work: () => Promise<T>, request: PlaceRequest = {}): Promise<T> {
    const place = request.place ?? this.#take() ?? (await this.#wait(request));
    try {
      request.unwanted?.throwIfAborted();
      return await work();
    } finally {
      place.release();
    }
  }

  /** Waits for a place and takes it until it is released. */
  async reserve(request: Omit<PlaceRequest, 'place'> = {}): Promise<Place> {
    request.unwanted?.throwIfAborted();
    return this.#take() ?? (await this.#wait(request));
  }

  #take(): Place | null {
    if (this.#free === 0) return null;
    this.#free -= 1;
    return this.#placeOf(false);
  }

  async #wait({ kind = 'handlers', unwanted }: PlaceRequest): Promise<Place> {
    unwanted?.throwIfAborted();
    await this.#turn(kind, unwanted);
    return this.#placeOf(true);
  }

  #placeOf(waited: boolean): Place {
    let taken = true;
    const release = (): void => {
      if (taken) this.#next();
      taken = false;
    };
    return { waited, release };
  }

  /** Gives a place that has become free to the first piece of work of the kind whose turn it is. */
  #next(): void {
    const other: WorkKind = this.#latest === 'steps' ? 'handlers' : 'steps';
    for (const kind of [other, this.#latest]) {
      const [begin] = this.#waiting[kind];
      if (begin === undefined) continue;
      this.#latest = kind;
      begin();
      return;
    }
    this.#free += 1;
  }

  #turn(kind: WorkKind, unwanted: AbortSignal | undefined): Promise<void> {
    const waiting = this.#waiting[kind];
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        waiting.delete(begin);
        unwanted?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        waiting.delete(begin);
        reject(asError(unwanted?.reason));
      };
      waiting.add(begin);
      unwanted?.addEventListener('abort', leave, { once: true });
    });
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('It is not wanted any more.');
}
