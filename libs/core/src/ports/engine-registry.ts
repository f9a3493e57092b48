import type { RunnableSaga } from './saga-store.js';

export interface EngineBeat {
  readonly incarnation: string;
  /** Rises with every heartbeat; compared for equality only. */
  readonly beat: string;
  /** By the database's clock, its time to live has passed since its last heartbeat. */
  readonly overdue: boolean;
  /** Its time to live, as it registered. */
  readonly ttlMs: number;
}

/** An engine that registers. */
export interface NewEngine {
  readonly incarnation: string;
  readonly service: string;
  readonly host: string;
  readonly pid: number;
  readonly ttlMs: number;
  /** The definitions it runs, so that other engines see which sagas no engine runs. */
  readonly runs: readonly RunnableSaga[];
  /** The highest format of sagas that it can read. */
  readonly format: number;
}

/** Heartbeats of engines, on a connection of their own: a full pool makes no engine look dead. */
export interface EngineRegistry {
  register(engine: NewEngine): Promise<void>;
  /** Sends a heartbeat. False: declared dead; the engine stops and returns as a new incarnation. */
  beat(incarnation: string): Promise<boolean>;
  observe(): Promise<readonly EngineBeat[]>;
  /**
   * Declares an engine dead under the lock of its row, if it still is overdue and its beat still is the
   * one that was observed. False: it is alive.
   */
  declareDead(incarnation: string, beat: string): Promise<boolean>;
  /** Removes an engine that ends in good order. */
  retire(incarnation: string): Promise<void>;
}
